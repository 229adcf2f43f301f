package policytest

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/internal/manifest"
	"github.com/signoff-dev/signoff/internal/strict"
)

// maxSize bounds a test file, so that a stray file is refused and not read.
const maxSize = 1 << 20

// Parse reads a test file, and refuses whatever it does not know. It finds every mistake at once; the file is nil where it cannot be read at
// all.
func Parse(path string, data []byte) (*File, []*manifest.Problem) {
	if len(data) > maxSize {
		return nil, []*manifest.Problem{{File: path, Err: fmt.Errorf("a test file has at most %d bytes", maxSize)}}
	}
	documents, err := manifest.Parse(path, data)
	var unreadable *manifest.Problem
	switch {
	case errors.As(err, &unreadable):
		return nil, []*manifest.Problem{unreadable}
	case len(documents) == 0:
		return nil, []*manifest.Problem{{File: path, Err: errors.New("the file is empty: a test file begins with apiVersion: " + APIVersion)}}
	case len(documents) > 1:
		return nil, []*manifest.Problem{{File: path, Line: documents[1].Line, Err: errors.New("a second document begins here: a test file has one")}}
	}
	file := &File{Path: path, document: documents[0]}
	errs, err := strict.Decode(file.document.JSON, file, nil)
	if err != nil {
		return nil, []*manifest.Problem{{File: path, Line: file.document.Line, Err: err}}
	}
	if len(errs) == 0 || errs[0].Type != field.ErrorTypeTypeInvalid {
		errs = append(errs, file.decodeCases()...)
		errs = append(errs, file.check()...)
	}
	if len(errs) > 0 {
		return nil, file.document.Problems(errs)
	}
	return file, nil
}

// decodeCases reads the cases one by one, so that a mistake is said with the number of its case.
func (f *File) decodeCases() field.ErrorList {
	var errs field.ErrorList
	for i, raw := range f.RawCases {
		path := field.NewPath("cases").Index(i)
		c := Case{Line: f.document.LineOf(path.String()), path: path.String()}
		e, err := strict.Decode(raw, &c, path)
		if err != nil {
			e = append(e, field.Invalid(path, field.OmitValueType{}, err.Error()))
		}
		errs = append(errs, e...)
		f.Cases = append(f.Cases, c)
	}
	return errs
}

// mistakes says where mistakes of a case stand: in the case, or in what it takes from the top of the file.
func (f *File) mistakes(c *Case, errs field.ErrorList) []*manifest.Problem {
	for _, err := range errs {
		inCase := c.path + "." + err.Field
		if f.document.Holds(inCase) || !f.document.Holds(err.Field) {
			err.Field = inCase
		}
	}
	return f.document.Problems(errs)
}

// timeAt reads a time. An empty one is zero.
func timeAt(text string, path *field.Path) (time.Time, field.ErrorList) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, field.ErrorList{field.Invalid(path, text, "a time such as 2026-12-24T09:00:00Z or 2026-12-24T10:00:00+01:00 is accepted")}
	}
	return at, nil
}

// object reads an object that stands in a test file.
func object(raw json.RawMessage, path *field.Path) (map[string]any, field.ErrorList) {
	var out map[string]any
	if err := unmarshal(raw, &out); err != nil || out == nil {
		return nil, field.ErrorList{field.TypeInvalid(path, field.OmitValueType{}, "the fields of an object are accepted")}
	}
	return out, nil
}
