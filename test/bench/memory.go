package main
import "context"
func measureMemory(context.Context) ([]Result, error) { return nil, nil }
