package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/system"
)

const (
	lifecycleCounted  = 20
	lifecycleRounds   = 5
	lifecyclePairs    = 30
	lifecycleApproved = 15
	throughputRounds  = 3
	throughputAtOnce  = 200
	lifecyclePatience = 2 * time.Minute
)

// theatre is where requests live, and where the same writes are made by hand.
type theatre struct {
	*stage
	hands    hands
	observer *observer
	audit    auditLog
	metrics  string
	played   atomic.Int64
	scripts  map[string]script
	// mu guards names, by which the recorded request is known.
	mu    sync.Mutex
	names map[string]recordedNames
}

// recordedNames are the names in a script that must be replaced.
type recordedNames struct{ request, uid, service, tag string }

func measureLifecycle(ctx context.Context) ([]Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t, err := open(ctx)
	if err != nil {
		return nil, err
	}
	defer t.lower()
	var results []Result
	for _, part := range []func(context.Context) ([]Result, error){t.warmUp, t.writes, t.latency, t.throughput, t.retained} {
		found, err := part(ctx)
		if err != nil {
			return nil, err
		}
		results = append(results, found...)
	}
	return results, nil
}
