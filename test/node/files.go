package node

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// memory is where everything is that the node writes.
const memory = "/run"

// isolateFiles hides the mounts that are made here from the machine, and keeps what is written to /run and /var in memory: the kubelet and
// the plugins of the network write to places there that cannot be set.
func isolateFiles() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("failed to make the mounts of the machine private: %w", err)
	}
	// Shared again, but among us: the kubelet asks for it.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("failed to share mounts: %w", err)
	}
	if err := mount("proc", "/proc", "proc", ""); err != nil {
		return err
	}
	if err := mount("tmpfs", memory, "tmpfs", "mode=0755"); err != nil {
		return err
	}
	upper, work := filepath.Join(memory, "var"), filepath.Join(memory, "var-work")
	for _, dir := range []string{upper, work} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("failed to make a folder: %w", err)
		}
	}
	return mount("overlay", "/var", "overlay", "lowerdir=/var,upperdir="+upper+",workdir="+work)
}

func mount(source, target, kind, data string) error {
	if err := unix.Mount(source, target, kind, 0, data); err != nil {
		return fmt.Errorf("failed to mount %s on %s: %w", kind, target, err)
	}
	return nil
}

// settings are those of the whole machine that the kubelet wants to have so, and would set.
var settings = map[string]string{"vm/overcommit_memory": "1", "kernel/panic": "10", "kernel/panic_on_oops": "1"}

// isolateSettings shows the kubelet what it wants to see, and leaves the settings of the machine as they are.
func isolateSettings() error {
	dir := filepath.Join(memory, "settings")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("failed to make a folder: %w", err)
	}
	for name, value := range settings {
		path, target := filepath.Join(dir, filepath.Base(name)), filepath.Join("/proc/sys", name)
		if err := os.WriteFile(path, []byte(value+"\n"), 0o644); err != nil {
			return fmt.Errorf("failed to write a setting: %w", err)
		}
		if err := unix.Mount(path, target, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("failed to mount over %s: %w", target, err)
		}
	}
	return nil
}
