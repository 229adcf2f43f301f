package policytest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"
	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/crdschema"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/manifest"
)

// requestKind is the kind of what is judged.
const requestKind = "ActionRequest"

// request makes the request of a case, and says what the API server would refuse before anybody is asked. Unknown fields are mistakes of the
// test.
func (f *File) request(ctx context.Context, c *Case) (request *v1alpha1.ActionRequest, unknown, refused field.ErrorList) {
	text, err := merged(f.Request, c.Request)
	var content map[string]any
	if err == nil {
		err = unmarshal(text, &content)
	}
	if err != nil {
		return nil, field.ErrorList{field.Invalid(nil, field.OmitValueType{}, err.Error())}, nil
	}
	complete(content)
	kind, wrong := crdschema.Find(apiVersionOf(content), kindOf(content))
	if wrong != nil || kind.Name != requestKind {
		return nil, field.ErrorList{field.NotSupported(field.NewPath("kind"), kindOf(content), []string{requestKind})}, nil
	}
	if spec, ok := content["spec"].(map[string]any); ok && spec["requester"] != nil {
		return nil, field.ErrorList{field.Forbidden(field.NewPath("spec", "requester"), "who asks is said by requester beside request")}, nil
	}
	unknown, refused = kind.Check(ctx, content)
	request = &v1alpha1.ActionRequest{}
	if text, err = json.Marshal(content); err == nil {
		err = unmarshal(text, request)
	}
	if err != nil && len(refused) == 0 {
		unknown = append(unknown, field.Invalid(nil, field.OmitValueType{}, err.Error()))
	}
	return request, unknown, refused
}

// merged merges the request of a case into that of the file, as a JSON merge patch.
func merged(base, change json.RawMessage) ([]byte, error) {
	switch {
	case !manifest.IsRaw(change):
		return base, nil
	case !manifest.IsRaw(base):
		base = []byte("{}")
	}
	text, err := jsonpatch.MergePatch(base, change)
	if err != nil {
		return nil, fmt.Errorf("failed to merge the request of the case into that of the file: %w", err)
	}
	return text, nil
}

// generatedEnd stands for the end that Signoff gives to generated names.
const generatedEnd = "xxxxxxxx"

// complete fills in what a test may leave out.
func complete(content map[string]any) {
	object := &unstructured.Unstructured{Object: content}
	if content["apiVersion"] == nil {
		object.SetAPIVersion(v1alpha1.GroupVersion.String())
	}
	if content["kind"] == nil {
		object.SetKind(requestKind)
	}
	if prefix := object.GetGenerateName(); prefix != "" && object.GetName() == "" {
		object.SetName(prefix + generatedEnd)
	}
}

func apiVersionOf(content map[string]any) string {
	return (&unstructured.Unstructured{Object: content}).GetAPIVersion()
}

func kindOf(content map[string]any) string {
	return (&unstructured.Unstructured{Object: content}).GetKind()
}

const (
	serviceAccounts = "system:serviceaccounts"
	authenticated   = "system:authenticated"
)

// login gives the login as the API server would authenticate it, with the groups that it adds by itself.
func (f *File) login(login Login) *authenticationv1.UserInfo {
	if known, ok := f.People[login.Username]; ok && login.UID == "" && login.Groups == nil && login.Extra == nil {
		known.Username = login.Username
		login = known
	}
	info := &authenticationv1.UserInfo{Username: login.Username, UID: login.UID, Groups: slices.Clone(login.Groups)}
	add := func(group string) {
		if !slices.Contains(info.Groups, group) {
			info.Groups = append(info.Groups, group)
		}
	}
	if account, ok := identity.ServiceAccount(login.Username); ok {
		namespace, _, _ := strings.Cut(account, "/")
		add(serviceAccounts)
		add(serviceAccounts + ":" + namespace)
	}
	add(authenticated)
	for key, values := range login.Extra {
		if info.Extra == nil {
			info.Extra = map[string]authenticationv1.ExtraValue{}
		}
		info.Extra[key] = values
	}
	return info
}
