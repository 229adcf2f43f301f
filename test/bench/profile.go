package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"

	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// profile is the folder for CPU profiles. Empty: none are taken, and Signoff runs as its real binary.
var profile string

// startProfile profiles this process until the function that it returns is called.
func startProfile(section string) (func(), error) {
	if profile == "" {
		return func() {}, nil
	}
	logs, err := os.Create(filepath.Join(profile, section+".log"))
	if err != nil {
		return nil, fmt.Errorf("failed to create a log: %w", err)
	}
	log.SetLogger(zap.New(zap.WriteTo(logs)))
	file, err := os.Create(filepath.Join(profile, section+".cpu"))
	if err != nil {
		return nil, fmt.Errorf("failed to create a profile: %w", err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, fmt.Errorf("failed to start the profile: %w", err)
	}
	return func() {
		pprof.StopCPUProfile()
		_ = file.Close()
		_ = logs.Close()
	}, nil
}
