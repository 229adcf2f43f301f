package main

import (
	"log"
	"strings"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

// logTo sends everything that is logged to one logger, so that all lines have one form: what client-go and the standard library log, too.
func logTo(logger logr.Logger) {
	ctrl.SetLogger(logger)
	klog.SetLoggerWithOptions(logger.WithName("client-go"), klog.ContextualLogger(true))
	log.SetFlags(0)
	log.SetOutput(lines{logger.WithName("go")})
}

// lines logs what is written to it.
type lines struct{ logr.Logger }

// Write implements io.Writer.
func (l lines) Write(text []byte) (int, error) {
	l.Info(strings.TrimSpace(string(text)))
	return len(text), nil
}
