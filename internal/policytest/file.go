// Package policytest judges requests against policies that are files, at any time and with any facts, by the very functions that the webhook
// uses, and compares the verdicts with what somebody expects.
package policytest

import (
	"encoding/json"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/manifest"
)

const (
	// APIVersion and Kind stand at the head of a test file.
	APIVersion = "test.signoff.dev/v1alpha1"
	// Kind is the kind of a test file.
	Kind = "PolicyTest"
)

// File is a test file. What it says at the top is the default of every case.
type File struct {
	metav1.TypeMeta `json:",inline"`
	// Objects are files, or patterns of files, beside this one. What governs (Actions, Roles, Teams, Calendars, ActionPolicies) makes the
	// catalog; everything else is a fact.
	Objects []string `json:"objects"`
	// OperatorNamespace is where the Calendars of policies are. Unset: that of the configuration, or signoff-system.
	OperatorNamespace string `json:"operatorNamespace,omitempty"`
	// Configuration is the configuration file of the operator, which says who is one person and who is an agent. Unset: the default.
	Configuration string `json:"configuration,omitempty"`
	// Now is when requests are judged, in RFC 3339.
	Now string `json:"now,omitempty"`
	// Requester is who asks.
	Requester *Login `json:"requester,omitempty"`
	// People are logins by user name, so that groups need not be repeated.
	People map[string]Login `json:"people,omitempty"`
	// Request is an ActionRequest. apiVersion and kind may be left out.
	Request json.RawMessage `json:"request,omitempty"`
	// Facts are objects, added to those of objects.
	Facts []json.RawMessage `json:"facts,omitempty"`
	// Values are what hosts say, by the names of the lookups that ask them. A lookup without one is not answered.
	Values map[string]json.RawMessage `json:"values,omitempty"`
	// Invalid are objects that must be refused when they are applied. Any other that would be refused fails every case.
	Invalid []Invalid `json:"invalid,omitempty"`
	// RawCases are the cases as they are written.
	RawCases []json.RawMessage `json:"cases,omitempty"`

	// Cases are the cases, decoded.
	Cases []Case `json:"-"`
	// Path is the file.
	Path string `json:"-"`

	document *manifest.Document
}

// Login is a login as the API server would authenticate it.
type Login struct {
	// Username is the user name. In people it may be left out.
	Username string `json:"username,omitempty"`
	// UID is the uid.
	UID string `json:"uid,omitempty"`
	// Groups are the groups. Those that the API server adds to everybody need not be named.
	Groups []string `json:"groups,omitempty"`
	// Extra are further attributes.
	Extra map[string][]string `json:"extra,omitempty"`
}

// Reference names an object, or every object of a kind.
type Reference struct {
	// APIVersion and Kind are those of the object.
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Namespace is that of the object. Unset, with a name: the kind is not namespaced; without: any.
	Namespace string `json:"namespace,omitempty"`
	// Name is that of the object. Unset: every object of the kind.
	Name string `json:"name,omitempty"`
}

// Invalid is an object that must be refused.
type Invalid struct {
	// Object is "Kind/namespace/name", or "Kind/name" where the kind is not namespaced.
	Object string `json:"object"`
	// Message are texts that the refusal holds.
	Message []string `json:"message,omitempty"`
}

// Case is a situation and what is expected of it.
type Case struct {
	// Name is one line for people.
	Name string `json:"name"`
	// Now, Requester and Request are as in the file. A request is merged into that of the file.
	Now       string          `json:"now,omitempty"`
	Requester *Login          `json:"requester,omitempty"`
	Request   json.RawMessage `json:"request,omitempty"`
	// Facts are added to those of the file, and replace those of the same identity.
	Facts []json.RawMessage `json:"facts,omitempty"`
	// Absent are facts that do not exist in this case, Unreadable those that cannot be read, Writable those that the requester could write.
	Absent     []Reference `json:"absent,omitempty"`
	Unreadable []Reference `json:"unreadable,omitempty"`
	Writable   []Reference `json:"writable,omitempty"`
	// Values are added to those of the file, and replace those of the same name.
	Values map[string]json.RawMessage `json:"values,omitempty"`
	// Expect is what must come. What is not written is not compared.
	Expect Expect `json:"expect"`

	// Line is where the case begins.
	Line int `json:"-"`

	at   time.Time
	path string
}

// Expect is what is expected of a verdict.
type Expect struct {
	// Effect is Allow, RequireApproval, Hold, Deny, or Indeterminate where nothing could be decided.
	Effect string `json:"effect,omitempty"`
	// Refused tells whether admission refuses the request.
	Refused *bool `json:"refused,omitempty"`
	// Reason is the reason code of the refusal.
	Reason string `json:"reason,omitempty"`
	// Stages are exactly the stages that must approve, as "action/<stage>" or "policy/<policy>/<stage>".
	Stages []string `json:"stages,omitempty"`
	// Approvers are exactly the resolved approvers of the first requirement of stages.
	Approvers map[string]v1alpha1.Approvers `json:"approvers,omitempty"`
	// Rules are exactly the rules that apply, Overridden those that are passed by breakGlass.
	Rules      []string `json:"rules,omitempty"`
	Overridden []string `json:"overridden,omitempty"`
	// Message are texts that the refusal or the warnings hold.
	Message []string `json:"message,omitempty"`
	// NextChange is the next instant at which time alone could change the verdict, in RFC 3339, or "never".
	NextChange string `json:"nextChange,omitempty"`
	// May tells by what, and then by user name, whether somebody may: "approve" any stage, a stage by its id, "review" an emergency, "cancel".
	May map[string]map[string]bool `json:"may,omitempty"`
}

// never is what nextChange says where time changes nothing.
const never = "never"
