package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// change is what the bridge reads of a change_request.
type change struct {
	ID       string `json:"sys_id"`
	Number   string `json:"number"`
	Approval string `json:"approval"`
	// Active is "false" once the change is closed or cancelled.
	Active string `json:"active"`
	// Request is the uid of the request, which the Action has written.
	Request string `json:"correlation_id"`
	// Digest is what ServiceNow was asked about.
	Digest string `json:"correlation_display"`
}

type fields map[string]string

// The states of a change that is over.
const (
	closed   = "3"
	canceled = "4"
)

// table is the table change_request, by the Table API.
type table struct {
	address *url.URL
	token   string
	http    *http.Client
}

const (
	callTimeout = 30 * time.Second
	maxAnswer   = 8 << 20
	// atOnce is how many uids are asked about in one call, because a URL must not be too long.
	atOnce = 50
)

func newTable(address, token, authority string) (*table, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || token == "" {
		return nil, fmt.Errorf("SERVICENOW_URL must be an https URL, it is %q, and SERVICENOW_TOKEN must be set", address)
	}
	t := &table{address: u.JoinPath("api/now/table/change_request"), token: token, http: &http.Client{Timeout: callTimeout}}
	if authority == "" {
		return t, nil
	}
	bundle, err := os.ReadFile(authority) //nolint:gosec // whoever starts the bridge names the file
	if err != nil {
		return nil, fmt.Errorf("failed to read SERVICENOW_CA: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	t.http.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	return t, nil
}

// of are the changes that carry the uid of one of these requests, at most atOnce of them. Those of other integrations are none of ours.
func (t *table) of(ctx context.Context, uids []string) ([]change, error) {
	u := *t.address
	u.RawQuery = url.Values{
		"sysparm_query":  {"correlation_idIN" + strings.Join(uids, ",")},
		"sysparm_fields": {"sys_id,number,approval,active,correlation_id,correlation_display"},
	}.Encode()
	var found []change
	err := t.call(ctx, http.MethodGet, u.String(), nil, &found)
	return found, err
}

func (t *table) update(ctx context.Context, c *change, f fields) error {
	return t.call(ctx, http.MethodPatch, t.address.JoinPath(c.ID).String(), f, &change{})
}

// call sends fields, and reads what is in "result".
func (t *table) call(ctx context.Context, method, address string, f fields, into any) error {
	var body io.Reader
	if f != nil {
		raw, err := json.Marshal(f)
		if err != nil {
			return fmt.Errorf("failed to write the fields: %w", err)
		}
		body = bytes.NewReader(raw)
	}
	request, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return fmt.Errorf("failed to make a call: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+t.token)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	answer, err := t.http.Do(request)
	if err != nil {
		return fmt.Errorf("failed to call ServiceNow: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("ServiceNow answered %s to %s", answer.Status, method)
	}
	result := struct{ Result any }{into}
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(&result); err != nil {
		return fmt.Errorf("failed to read the answer of ServiceNow: %w", err)
	}
	return nil
}
