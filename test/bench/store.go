package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// store is etcd, by its HTTP gateway: many finished requests are written there in minutes, for which the API server would take an hour.
type store struct{ url string }

// pair is a key with its value.
type pair struct {
	Key   []byte `json:"key"`
	Value []byte `json:"value"`
}

// atOnceInStore is how many pairs are written in one transaction: etcd takes 128, and one and a half megabytes.
const atOnceInStore = 64

// get gives a value.
func (s store) get(ctx context.Context, key string) ([]byte, error) {
	var answer struct {
		Pairs []pair `json:"kvs"`
	}
	if err := s.ask(ctx, "range", map[string]any{"key": []byte(key)}, &answer); err != nil {
		return nil, err
	}
	if len(answer.Pairs) != 1 {
		return nil, fmt.Errorf("etcd does not hold %s", key)
	}
	return answer.Pairs[0].Value, nil
}

// put writes pairs in one transaction.
func (s store) put(ctx context.Context, pairs []pair) error {
	operations := make([]any, len(pairs))
	for i := range pairs {
		operations[i] = map[string]any{"requestPut": pairs[i]}
	}
	var answer struct {
		Succeeded bool `json:"succeeded"`
	}
	if err := s.ask(ctx, "txn", map[string]any{"success": operations}, &answer); err != nil {
		return err
	}
	if !answer.Succeeded {
		return errors.New("etcd refused a transaction")
	}
	return nil
}

func (s store) ask(ctx context.Context, what string, body, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("failed to ask etcd: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v3/kv/"+what, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("failed to ask etcd: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("failed to ask etcd: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd answered %s", response.Status)
	}
	return json.NewDecoder(response.Body).Decode(answer)
}
