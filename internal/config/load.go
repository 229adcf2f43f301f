package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	yamlv3 "go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/internal/strict"
)

// maxSize is far more than any configuration needs.
const maxSize = 1 << 20

// Load reads a file: YAML or JSON, one document. What is not written has its default. What is not known is refused, so that a
// misspelt field is not silently ignored. The error names every field that is wrong.
func Load(data []byte) (*Configuration, error) {
	cfg, errs, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("failed to read the configuration: %w", err)
	}
	if cfg != nil {
		errs = append(errs, cfg.Validate()...)
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("failed to accept the configuration: %w", errs.ToAggregate())
	}
	return cfg, nil
}

// decode gives the configuration, where it could be read, and the fields that are unknown or of another type.
func decode(data []byte) (*Configuration, field.ErrorList, error) {
	if len(data) > maxSize {
		return nil, nil, fmt.Errorf("it has %d bytes: at most %d are accepted", len(data), maxSize)
	}
	if err := oneDocument(data); err != nil {
		return nil, nil, err
	}
	document, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return nil, nil, fmt.Errorf("failed to parse YAML: %w", err)
	}
	cfg := Default()
	// A list that is given replaces the default, and must not be read into its elements.
	cfg.TypeMeta, cfg.Audit.Sinks = metav1.TypeMeta{}, nil
	errs, err := strict.Decode(document, cfg, nil)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range errs {
		if e.Field == strict.Root {
			e.Field = "configuration"
		}
		if e.Type == field.ErrorTypeTypeInvalid {
			return nil, errs, nil
		}
	}
	if cfg.Audit.Sinks == nil {
		cfg.Audit.Sinks = defaultSinks()
	}
	return cfg, errs, nil
}

// oneDocument refuses further documents, because only the first would be read.
func oneDocument(data []byte) error {
	decoder := yamlv3.NewDecoder(bytes.NewReader(data))
	for documents := 0; ; documents++ {
		var node yamlv3.Node
		switch err := decoder.Decode(&node); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("failed to parse YAML: %w", err)
		case documents > 0:
			return fmt.Errorf("line %d begins another YAML document: one document is accepted", node.Line)
		}
	}
}
