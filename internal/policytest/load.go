package policytest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/manifest"
)

// isTestFile tells test files from all others by their names.
func isTestFile(name string) bool {
	for _, end := range []string{".yaml", ".yml"} {
		if base, ok := strings.CutSuffix(filepath.Base(name), end); ok && strings.HasSuffix(base, "_test") {
			return true
		}
	}
	return false
}

// Find lists the test files in folders and below, each once. A file that is named itself is one whatever it is called.
func Find(paths []string) ([]string, error) {
	var files []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("failed to look for test files: %w", err)
		}
		if !info.IsDir() {
			files = append(files, filepath.Clean(path))
			continue
		}
		found, err := below(path)
		if err != nil {
			return nil, fmt.Errorf("failed to look for test files: %w", err)
		}
		files = append(files, found...)
	}
	slices.Sort(files)
	if len(files) == 0 {
		return nil, fmt.Errorf("there is no test file in %s: they are called *_test.yaml", strings.Join(paths, ", "))
	}
	return slices.Compact(files), nil
}

func below(dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != dir && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case !entry.IsDir() && isTestFile(path):
			files = append(files, path)
		}
		return nil
	})
	return files, err
}

// policies reads everything that a test file names.
func (f *File) policies(ctx context.Context) (*Policies, []*manifest.Problem) {
	cfg, problems := f.configuration()
	documents, more := f.objects()
	if problems = append(problems, more...); len(problems) > 0 {
		return nil, problems
	}
	return NewPolicies(ctx, documents, cfg)
}

func (f *File) configuration() (*config.Configuration, []*manifest.Problem) {
	cfg := config.Default()
	if f.Configuration != "" {
		path := f.beside(f.Configuration)
		data, err := os.ReadFile(path) //nolint:gosec // a test file names the files that it is about
		if err != nil {
			return nil, []*manifest.Problem{f.document.At(field.Invalid(field.NewPath("configuration"), f.Configuration, reasonOf(err)))}
		}
		if cfg, err = config.Load(data); err != nil {
			return nil, []*manifest.Problem{{File: path, Err: err}}
		}
	}
	if f.OperatorNamespace != "" {
		cfg.Operator.Namespace = f.OperatorNamespace
	}
	return cfg, nil
}

// beside gives the path of something that is named in the test file.
func (f *File) beside(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(f.Path), filepath.FromSlash(name))
}

// objects reads the files that objects names, each once. Test files, and documents that are no objects, are passed by where only a pattern
// meets them.
func (f *File) objects() ([]*manifest.Document, []*manifest.Problem) {
	var documents []*manifest.Document
	var problems []*manifest.Problem
	seen := map[string]bool{}
	for i, pattern := range f.Objects {
		path := field.NewPath("objects").Index(i)
		files, err := filepath.Glob(f.beside(pattern))
		if err == nil && len(files) == 0 {
			err = errors.New("there is no such file")
		}
		if err != nil {
			problems = append(problems, f.document.At(field.Invalid(path, pattern, err.Error())))
		}
		for _, name := range files {
			if seen[name] {
				continue
			}
			seen[name] = true
			read, problem := f.readObjects(name, pattern, path)
			documents = append(documents, read...)
			problems = append(problems, problem...)
		}
	}
	return documents, problems
}

// readObjects reads a file of objects that a pattern, or its own name, names.
func (f *File) readObjects(name, pattern string, path *field.Path) ([]*manifest.Document, []*manifest.Problem) {
	byPattern := name != f.beside(pattern)
	if byPattern && isTestFile(name) {
		return nil, nil
	}
	documents, err := readFile(name)
	var problem *manifest.Problem
	switch {
	case errors.As(err, &problem):
		return nil, []*manifest.Problem{problem}
	case err != nil:
		return nil, []*manifest.Problem{f.document.At(field.Invalid(path, pattern, reasonOf(err)))}
	}
	if byPattern {
		documents = slices.DeleteFunc(documents, isNoObject)
	}
	return documents, nil
}

// isNoObject tells documents that are nothing of Kubernetes.
func isNoObject(document *manifest.Document) bool {
	content, err := document.Object()
	return err == nil && content["apiVersion"] == nil && content["kind"] == nil
}

func readFile(name string) ([]*manifest.Document, error) {
	data, err := os.ReadFile(name) //nolint:gosec // a test file names the files that it is about
	if err != nil {
		return nil, err
	}
	return manifest.Parse(name, data)
}

// reasonOf leaves out what the message says already.
func reasonOf(err error) string {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err.Error()
	}
	return err.Error()
}
