package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
)

// user is who runs: a number, because runAsNonRoot cannot judge a name. The Dockerfile has it too.
const user = "65532:65532"

// image is an image of one layer. The first file is the program that runs.
type image struct {
	Names        []string
	Architecture string
	Files        []file
}

type file struct {
	path    string
	mode    int64
	content []byte
}

// add puts a file of this machine into the image.
func (i *image) add(source, path string, mode int64) error {
	content, err := os.ReadFile(source)
	if err != nil {
		return fmt.Errorf("failed to read what goes into the image: %w", err)
	}
	i.Files = append(i.Files, file{path: path, mode: mode, content: content})
	return nil
}

// configuration says what the layers are and how a container starts. Its fields are those of the image specification of the Open Container
// Initiative.
func (i *image) configuration(layer []byte) ([]byte, error) {
	return json.Marshal(map[string]any{
		"architecture": i.Architecture,
		"os":           "linux",
		"config":       map[string]any{"User": user, "Entrypoint": []string{"/" + i.Files[0].path}},
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + digest(layer)}},
	})
}

// write writes the archive: a manifest that names the configuration and the layer beside it.
func (i *image) write(path string) error {
	layer, err := archive(i.Files)
	if err != nil {
		return err
	}
	configuration, err := i.configuration(layer)
	if err != nil {
		return fmt.Errorf("failed to write the configuration: %w", err)
	}
	const layerName = "layer.tar"
	configurationName := digest(configuration) + ".json"
	manifest, err := json.Marshal([]any{map[string]any{
		"Config": configurationName, "RepoTags": i.Names, "Layers": []string{layerName},
	}})
	if err != nil {
		return fmt.Errorf("failed to write the manifest: %w", err)
	}
	all, err := archive([]file{
		{path: layerName, mode: 0o644, content: layer},
		{path: configurationName, mode: 0o644, content: configuration},
		{path: "manifest.json", mode: 0o644, content: manifest},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(path, all, 0o644)
}

// archive packs files, always to the same bytes: no times and no owners but root are in it.
func archive(files []file) ([]byte, error) {
	var out bytes.Buffer
	writer := tar.NewWriter(&out)
	for _, f := range files {
		header := &tar.Header{Name: f.path, Typeflag: tar.TypeReg, Mode: f.mode, Size: int64(len(f.content))}
		if err := writer.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("failed to pack %s: %w", f.path, err)
		}
		if _, err := writer.Write(f.content); err != nil {
			return nil, fmt.Errorf("failed to pack %s: %w", f.path, err)
		}
	}
	if err := writer.Close(); err != nil {
		return nil, fmt.Errorf("failed to pack: %w", err)
	}
	return out.Bytes(), nil
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
