package main

import (
	"context"
	"fmt"
	"time"
)

// within asks again and again whether something has happened. It is for getting ready, never for what is measured.
func within(ctx context.Context, limit time.Duration, what string, happened func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		done, err := happened()
		if err != nil {
			return fmt.Errorf("failed to wait until %s: %w", what, err)
		}
		if done {
			return nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("failed to wait until %s: %w", what, err)
		}
	}
}

// pause lets time pass.
func pause(ctx context.Context, length time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(length):
		return nil
	}
}
