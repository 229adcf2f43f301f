//go:build !linux

package podrunner

import (
	"context"
	"errors"
)

// run says that it cannot.
func (p *process) run(context.Context, string) (int, error) {
	return 0, errors.New("Pods run as processes on Linux only")
}
