package policytest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/manifest"
)

// effectIndeterminate is expected where nothing could be decided.
const effectIndeterminate = "Indeterminate"

// What somebody may do, beside voting in a stage that is named by its id.
const (
	mayApprove = "approve"
	mayReview  = "review"
	mayCancel  = "cancel"
)

var effects = []string{
	string(v1alpha1.EffectAllow), string(v1alpha1.EffectRequireApproval), string(v1alpha1.EffectHold), string(v1alpha1.EffectDeny), effectIndeterminate,
}

// reasons are the codes with which a request is refused.
var reasons = []string{
	v1alpha1.ReasonDeniedByRule, v1alpha1.ReasonNotAuthorized, v1alpha1.ReasonIndeterminate, v1alpha1.ReasonFactsUnavailable,
	v1alpha1.ReasonActionUnavailable, v1alpha1.ReasonInvalid,
}

// check finds what types cannot say.
func (f *File) check() field.ErrorList {
	var errs field.ErrorList
	errs = append(errs, exactly(field.NewPath("apiVersion"), f.APIVersion, APIVersion)...)
	errs = append(errs, exactly(field.NewPath("kind"), f.Kind, Kind)...)
	if len(f.Objects) == 0 {
		errs = append(errs, field.Required(field.NewPath("objects"), "name the files that are tested"))
	}
	if len(f.RawCases)+len(f.Invalid) == 0 {
		errs = append(errs, field.Required(field.NewPath("cases"), "a test file has at least one case"))
	}
	_, e := timeAt(f.Now, field.NewPath("now"))
	errs = append(append(errs, e...), facts(f.Facts, field.NewPath("facts"))...)
	for i := range f.Invalid {
		if parts := strings.Split(f.Invalid[i].Object, "/"); len(parts) < 2 || len(parts) > 3 {
			errs = append(errs, field.Invalid(field.NewPath("invalid").Index(i).Child("object"), f.Invalid[i].Object,
				"Kind/namespace/name is accepted, or Kind/name where the kind is not namespaced"))
		}
	}
	if manifest.IsRaw(f.Request) {
		_, e := object(f.Request, field.NewPath("request"))
		errs = append(errs, e...)
	}
	for i := range f.Cases {
		errs = append(errs, f.checkCase(&f.Cases[i], field.NewPath("cases").Index(i))...)
	}
	return append(errs, f.uniqueNames()...)
}

func exactly(path *field.Path, got, want string) field.ErrorList {
	switch got {
	case want:
		return nil
	case "":
		return field.ErrorList{field.Required(path, fmt.Sprintf("%q is accepted", want))}
	}
	return field.ErrorList{field.NotSupported(path, got, []string{want})}
}

func (f *File) uniqueNames() field.ErrorList {
	var errs field.ErrorList
	seen := map[string]bool{}
	for i := range f.Cases {
		if name := f.Cases[i].Name; name != "" && seen[name] {
			errs = append(errs, field.Duplicate(field.NewPath("cases").Index(i).Child("name"), name))
		}
		seen[f.Cases[i].Name] = true
	}
	return errs
}

func (f *File) checkCase(c *Case, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if strings.TrimSpace(c.Name) == "" {
		errs = append(errs, field.Required(path.Child("name"), "one line that says what the case is about"))
	}
	at, e := timeAt(c.Now, path.Child("now"))
	if c.at = at; at.IsZero() {
		c.at, _ = timeAt(f.Now, nil)
	}
	errs = append(errs, e...)
	if c.Now == "" && f.Now == "" {
		errs = append(errs, field.Required(path.Child("now"), "the time at which the request is judged, here or at the top of the file"))
	}
	if c.Requester == nil {
		c.Requester = f.Requester
	}
	if c.Requester == nil || c.Requester.Username == "" {
		errs = append(errs, field.Required(path.Child("requester", "username"), "who asks, here or at the top of the file"))
	}
	if manifest.IsRaw(c.Request) {
		_, e := object(c.Request, path.Child("request"))
		errs = append(errs, e...)
	} else if !manifest.IsRaw(f.Request) {
		errs = append(errs, field.Required(path.Child("request"), "what is asked, here or at the top of the file"))
	}
	errs = append(errs, facts(c.Facts, path.Child("facts"))...)
	errs = append(errs, references(c.Absent, path.Child("absent"), true)...)
	errs = append(errs, references(c.Unreadable, path.Child("unreadable"), false)...)
	errs = append(errs, references(c.Writable, path.Child("writable"), false)...)
	return append(errs, c.Expect.check(path.Child("expect"))...)
}

func facts(raws []json.RawMessage, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, raw := range raws {
		at := path.Index(i)
		content, e := object(raw, at)
		if len(e) > 0 {
			errs = append(errs, e...)
			continue
		}
		fact := &unstructured.Unstructured{Object: content}
		if fact.GetAPIVersion() == "" {
			errs = append(errs, field.Required(at.Child("apiVersion"), ""))
		}
		if fact.GetKind() == "" {
			errs = append(errs, field.Required(at.Child("kind"), ""))
		}
		if fact.GetName() == "" {
			errs = append(errs, field.Required(at.Child("metadata", "name"), ""))
		}
	}
	return errs
}

func references(list []Reference, path *field.Path, named bool) field.ErrorList {
	var errs field.ErrorList
	for i := range list {
		at := path.Index(i)
		if list[i].APIVersion == "" {
			errs = append(errs, field.Required(at.Child("apiVersion"), ""))
		}
		if list[i].Kind == "" {
			errs = append(errs, field.Required(at.Child("kind"), ""))
		}
		if named && list[i].Name == "" {
			errs = append(errs, field.Required(at.Child("name"), ""))
		}
	}
	return errs
}

// check refuses what can never come, and a case that expects nothing: it could not fail.
func (e *Expect) check(path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if e.isEmpty() {
		errs = append(errs, field.Required(path, "say what is expected: a case that expects nothing cannot fail"))
	}
	if e.Effect != "" && !slices.Contains(effects, e.Effect) {
		errs = append(errs, field.NotSupported(path.Child("effect"), e.Effect, effects))
	}
	if e.Reason != "" && !slices.Contains(reasons, e.Reason) {
		errs = append(errs, field.NotSupported(path.Child("reason"), e.Reason, reasons))
	}
	if e.NextChange != never {
		_, wrong := timeAt(e.NextChange, path.Child("nextChange"))
		errs = append(errs, wrong...)
	}
	return append(errs, e.checkMay(path.Child("may"))...)
}

func (e *Expect) checkMay(path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, what := range slices.Sorted(maps.Keys(e.May)) {
		isStage := strings.HasPrefix(what, "action/") || strings.HasPrefix(what, "policy/")
		if !isStage && what != mayApprove && what != mayReview && what != mayCancel {
			errs = append(errs, field.NotSupported(path.Key(what), what,
				[]string{mayApprove, mayCancel, mayReview, "action/<stage>", "policy/<policy>/<stage>"}))
		}
	}
	return errs
}

func (e *Expect) isEmpty() bool {
	return e.Effect == "" && e.Refused == nil && e.Reason == "" && e.Stages == nil && len(e.Approvers) == 0 && e.Rules == nil &&
		e.Overridden == nil && len(e.Message) == 0 && e.NextChange == "" && len(e.May) == 0
}
