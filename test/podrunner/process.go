package podrunner

import "time"

// process is what runs of a Pod.
type process struct {
	// root is its root directory, and dir where in it the process starts.
	root, dir string
	// command is what runs, as it is called in root.
	command []string
	// environment is what it sees, as name=value.
	environment []string
	user        int
	// grace is how long it has to end after it was asked to.
	grace time.Duration
}
