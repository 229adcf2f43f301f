package keyholder

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/signoff-dev/signoff/internal/keys"
)

// readFiles reads private keys from a file with one key, or from a folder that looks like a mounted Secret. No file is no key.
func readFiles(path string) ([]ed25519.PrivateKey, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("failed to read private key: %w", err)
	case info.IsDir():
		return readFolder(path)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("failed to read private key: %w", err)
	}
	key, err := keys.ParsePrivate(raw)
	if err != nil {
		return nil, &brokenError{fmt.Errorf("failed to understand file %s: %w", path, err)}
	}
	return []ed25519.PrivateKey{key}, nil
}

func readFolder(path string) ([]ed25519.PrivateKey, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("failed to read private keys: %w", err)
	}
	data := map[string][]byte{}
	for _, entry := range entries {
		// A mounted Secret has ..data beside the entries, which are links into it.
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(path, entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("failed to read private keys: %w", err)
		}
		data[entry.Name()] = raw
	}
	parsed, err := keys.ParseSecret(data)
	if err != nil {
		return nil, &brokenError{fmt.Errorf("failed to understand folder %s: %w", path, err)}
	}
	return parsed, nil
}
