package config

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	maxSinks           = 8
	minOutbox          = 8
	maxOutbox          = 64 << 10
	maxCheckpointLines = 10000
	minCheckpointEvery = time.Second
	maxCheckpointEvery = time.Hour
)

func (c *Configuration) validateAudit() field.ErrorList {
	var errs field.ErrorList
	path, sinks := field.NewPath("audit"), field.NewPath("audit", "sinks")
	if len(c.Audit.Sinks) > maxSinks {
		errs = append(errs, field.TooMany(sinks, len(c.Audit.Sinks), maxSinks))
	}
	var places []string
	for i := range c.Audit.Sinks {
		sink := &c.Audit.Sinks[i]
		errs = append(errs, sink.validate(sinks.Index(i))...)
		where, place := sink.place(sinks.Index(i))
		if place != "" && slices.Contains(places, place) {
			errs = append(errs, field.Duplicate(where, place))
		}
		places = append(places, place)
	}
	checkpoints := path.Child("checkpoints")
	if n := c.Audit.Checkpoints.Lines; n < 1 || n > maxCheckpointLines {
		errs = append(errs, field.Invalid(checkpoints.Child("lines"), n, fmt.Sprintf("a number from 1 to %d is accepted", maxCheckpointLines)))
	}
	if every := c.Audit.Checkpoints.Every.Duration; every < minCheckpointEvery || every > maxCheckpointEvery {
		errs = append(errs, field.Invalid(checkpoints.Child("every"), every.String(), fmt.Sprintf("from %s to %s is accepted", minCheckpointEvery, maxCheckpointEvery)))
	}
	return errs
}

// place is where a sink writes, and which field says so: two logs in one place would be none.
func (s *AuditSink) place(path *field.Path) (*field.Path, string) {
	switch {
	case s.Stdout != nil:
		return path.Child("stdout"), "the standard output"
	case s.File != nil:
		return path.Child("file", "path"), filepath.Clean(s.File.Path)
	case s.HTTP != nil:
		return path.Child("http", "outboxDir"), filepath.Clean(s.HTTP.OutboxDir)
	}
	return path, ""
}

func (s *AuditSink) validate(path *field.Path) field.ErrorList {
	kinds := 0
	for _, set := range []bool{s.Stdout != nil, s.File != nil, s.HTTP != nil} {
		if set {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return field.ErrorList{field.Required(path, "exactly one of stdout, file and http is accepted")}
	case s.File != nil:
		return absolute(path.Child("file", "path"), s.File.Path, true)
	case s.HTTP != nil:
		return s.HTTP.validate(path.Child("http"))
	}
	return nil
}

func (h *AuditHTTP) validate(path *field.Path) field.ErrorList {
	address := h.URL
	if u, err := url.Parse(address); err == nil {
		// What is refused is logged, and a password must not be.
		address = u.Redacted()
	}
	errs := slices.Concat(
		one(path.Child("url"), address, receiver),
		absolute(path.Child("caFile"), h.CAFile, false),
		absolute(path.Child("headersFile"), h.HeadersFile, false),
		absolute(path.Child("bearerTokenFile"), h.BearerTokenFile, false),
		absolute(path.Child("outboxDir"), h.OutboxDir, true),
	)
	if n := h.OutboxMiB; n != 0 && (n < minOutbox || n > maxOutbox) {
		errs = append(errs, field.Invalid(path.Child("outboxMiB"), n, fmt.Sprintf("a number from %d to %d is accepted", minOutbox, maxOutbox)))
	}
	return errs
}

func absolute(path *field.Path, name string, needed bool) field.ErrorList {
	if name == "" && !needed || filepath.IsAbs(name) && !strings.ContainsRune(name, 0) {
		return nil
	}
	return field.ErrorList{field.Invalid(path, name, "an absolute path is accepted")}
}

// receiver accepts where evidence may be sent: nobody on the way may read or change it.
func receiver(text string) []string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return []string{"a URL is accepted, such as https://audit.example.org/signoff, without a user and without a fragment"}
	}
	local := u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback()
	if u.Scheme == "https" || u.Scheme == "http" && local {
		return nil
	}
	return []string{"https is accepted, and http on the loopback interface only"}
}
