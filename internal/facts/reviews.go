package facts

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
)

const (
	// answersFor is how long an answer is believed.
	answersFor = 30 * time.Second
	maxAnswers = 8192
)

// Ask creates a review at the API server, which fills in its status.
type Ask func(ctx context.Context, review *authorizationv1.SubjectAccessReview) error

// Reviews asks the API server what people may do, and remembers answers for a short time. It is safe for concurrent use.
type Reviews struct {
	ask     Ask
	clock   clock.PassiveClock
	answers *cache.LRUExpireCache
	asked   atomic.Int64
}

// NewReviews makes Reviews.
func NewReviews(ask Ask, clk clock.PassiveClock) *Reviews {
	return &Reviews{ask: ask, clock: clk, answers: cache.NewLRUExpireCacheWithClock(maxAnswers, clk)}
}

// Asked tells how many questions the API server was asked.
func (r *Reviews) Asked() int64 { return r.asked.Load() }

// MayGet tells whether somebody may get an object.
func (r *Reviews) MayGet(ctx context.Context, who *v1alpha1.Identity, resource schema.GroupResource, namespace, name string) (bool, error) {
	return r.mayAny(ctx, who, question{way: getting, on: authorizationv1.ResourceAttributes{
		Group: resource.Group, Resource: resource.Resource, Namespace: namespace, Name: name,
	}})
}

var pods = schema.GroupResource{Resource: "pods"}

// inside are the rights by which somebody gets into a pod that runs. Before Kubernetes 1.35, reading is enough for a WebSocket.
var inside = []right{
	{"create", "exec"}, {"get", "exec"}, {"create", "attach"}, {"get", "attach"}, {"update", "ephemeralcontainers"}, {"patch", "ephemeralcontainers"},
}

// workloads are the kinds by which something runs in a namespace, as any ServiceAccount of it.
var workloads = []schema.GroupResource{
	pods, {Resource: "replicationcontrollers"}, {Group: "apps", Resource: "deployments"}, {Group: "apps", Resource: "replicasets"},
	{Group: "apps", Resource: "statefulsets"}, {Group: "apps", Resource: "daemonsets"}, {Group: "batch", Resource: "jobs"}, {Group: "batch", Resource: "cronjobs"},
}

// wayIn is a way by which somebody comes to act as a ServiceAccount of a namespace.
type wayIn struct {
	way      way
	resource schema.GroupResource
	// named says that the ServiceAccount itself is asked about.
	named bool
}

// waysIn are all of which one alone is enough.
func waysIn() []wayIn {
	const accounts = "serviceaccounts"
	all := []wayIn{{acting, schema.GroupResource{Resource: accounts}, true}, {acting, schema.GroupResource{Group: "authentication.k8s.io", Resource: accounts}, true}}
	for _, resource := range workloads {
		all = append(all, wayIn{way: running, resource: resource})
	}
	return all
}

// roles are those by which somebody can give rights in a namespace, to themself, too.
var roles = schema.GroupResource{Group: "rbac.authorization.k8s.io", Resource: "roles"}

// Right is what RBAC can give: a verb on a resource, or on a subresource such as "pods/exec".
type Right struct{ Group, Resource, Verb string }

// RightsToAct are the rights in a namespace of which one alone lets somebody act as a ServiceAccount of it. MayActAs asks about them, and about two
// pairs: Secrets that are made and read, and Roles that are bound.
func RightsToAct() []Right {
	var all []Right
	for _, in := range append(waysIn(), wayIn{way: escalating, resource: roles}) {
		for _, right := range in.way.rights(in.resource) {
			resource := in.resource.Resource
			if right.subresource != "" {
				resource += "/" + right.subresource
			}
			all = append(all, Right{Group: in.resource.Group, Resource: resource, Verb: right.verb})
		}
	}
	return all
}

// MayActAs tells whether somebody could act as a ServiceAccount, given as "namespace/name": impersonate it, make a token for it, let something run
// in its namespace, make a Secret there into which the control plane writes a token, and read it, or give themself such a right.
func (r *Reviews) MayActAs(ctx context.Context, who *v1alpha1.Identity, account string) (bool, error) {
	namespace, name, _ := strings.Cut(account, "/")
	on := func(w way, resource schema.GroupResource, name string) question {
		return question{way: w, on: authorizationv1.ResourceAttributes{Group: resource.Group, Resource: resource.Resource, Namespace: namespace, Name: name}}
	}
	var questions []question
	for _, in := range waysIn() {
		about := ""
		if in.named {
			about = name
		}
		questions = append(questions, on(in.way, in.resource, about))
	}
	if may, err := r.mayAny(ctx, who, questions...); may || err != nil {
		return may, err
	}
	secrets := schema.GroupResource{Resource: "secrets"}
	if may, err := r.mayBoth(ctx, who, []question{on(adding, secrets, "")}, []question{on(revealing, secrets, "")}); may || err != nil {
		return may, err
	}
	rbac := func(resource string) schema.GroupResource {
		return schema.GroupResource{Group: "rbac.authorization.k8s.io", Resource: resource}
	}
	if may, err := r.mayBoth(ctx, who, []question{on(running, rbac("rolebindings"), "")}, []question{on(binding, rbac("clusterroles"), ""), on(binding, roles, "")}); may || err != nil {
		return may, err
	}
	return r.mayAny(ctx, who, on(escalating, roles, ""))
}

// mayBoth tells whether one of some questions is answered by yes, and one of others as well.
func (r *Reviews) mayBoth(ctx context.Context, who *v1alpha1.Identity, some, others []question) (bool, error) {
	if may, err := r.mayAny(ctx, who, some...); !may || err != nil {
		return false, err
	}
	return r.mayAny(ctx, who, others...)
}

// way is a way in which somebody has to do with an object.
type way string

const (
	// getting is reading it, reading a list.
	getting, reading way = "get", "list"
	// making is giving an object that exists its content, listing giving a list what it has, and removing making that an object is missing.
	making, listing, removing way = "make", "make-list", "remove"
	// acting is doing something as a ServiceAccount, and running is letting something run with it.
	acting, running way = "act", "run"
	// adding is making an object of a kind that was not there, and revealing is seeing what is in it.
	adding, revealing way = "add", "reveal"
	// binding is giving rights of a role that one does not hold, and escalating is writing such rights into one.
	binding, escalating way = "bind", "escalate"
)

// rights are those by which somebody goes this way.
func (w way) rights(resource schema.GroupResource) []right {
	switch w {
	case getting, reading, binding, escalating:
		return []right{{string(w), ""}}
	case adding:
		return []right{{"create", ""}}
	case revealing:
		return []right{{"get", ""}, {"list", ""}, {"watch", ""}}
	case removing:
		return []right{{"delete", ""}, {"deletecollection", ""}, {"create", ""}}
	case making:
		return slices.Concat(changing, more[resource])
	case acting:
		return []right{{"impersonate", ""}, {"impersonate:serviceaccount", ""}, {"create", "token"}}
	case running:
		rights := []right{{"create", ""}, {"update", ""}, {"patch", ""}}
		if resource == pods {
			rights = append(rights, inside...)
		}
		return rights
	case listing:
		return slices.Concat(changing, more[resource], []right{{"delete", ""}, {"deletecollection", ""}})
	}
	return nil
}

// right is a verb, on the object itself or on a subresource.
type right struct{ verb, subresource string }

// The rights by which somebody makes an object what it is. Deleting is not among them: what exists can have been created with any content, and
// only what is missing can have been removed.
var (
	// changing are the rights by which an object that exists got its content.
	changing = []right{
		{"update", ""}, {"patch", ""}, {"create", ""},
		{"update", "status"}, {"patch", "status"}, {"update", "scale"}, {"patch", "scale"},
	}
	// more are further rights by which objects of some kinds get their content: the labels of a namespace by finalize, the conditions of a
	// CertificateSigningRequest by approval, and so on.
	more = map[schema.GroupResource][]right{
		{Resource: "namespaces"}: {{"update", "finalize"}},
		{Resource: "pods"}: {
			{"update", "ephemeralcontainers"}, {"patch", "ephemeralcontainers"}, {"update", "resize"}, {"patch", "resize"}, {"create", "binding"},
		},
		{Group: "certificates.k8s.io", Resource: "certificatesigningrequests"}: {{"update", "approval"}, {"patch", "approval"}},
	}
)

// asksAtOnce bounds how many objects are asked about at the same time.
const asksAtOnce = 8

// question is whether somebody goes a way with an object, and its answer.
type question struct {
	way way
	on  authorizationv1.ResourceAttributes
	key string
	yes bool
	err error
}

// mayAny tells whether at least one of some questions about somebody is answered by yes. What is not known yet is asked together. What has no
// answer counts only where nothing else is answered by yes.
func (r *Reviews) mayAny(ctx context.Context, who *v1alpha1.Identity, questions ...question) (bool, error) {
	person := appendPerson(make([]byte, 0, 256), who)
	var unknown []*question
	for i := range questions {
		q := &questions[i]
		q.key = string(appendTexts(person, string(q.way), q.on.Group, q.on.Resource, q.on.Namespace, q.on.Name))
		known, ok := r.answers.Get(q.key)
		if !ok {
			unknown = append(unknown, q)
		} else if known.(bool) { //nolint:forcetypeassert // nothing else is put in
			return true, nil
		}
	}
	var problem error
	for some := range slices.Chunk(unknown, asksAtOnce) {
		var asking sync.WaitGroup
		for _, q := range some {
			asking.Go(func() { r.answer(ctx, who, q) })
		}
		asking.Wait()
		for _, q := range some {
			if q.yes {
				return true, nil
			}
			problem = cmp.Or(problem, q.err)
		}
	}
	return false, problem
}

// answer asks for every right at once, of which one is enough, and remembers the answer.
func (r *Reviews) answer(ctx context.Context, who *v1alpha1.Identity, q *question) {
	rights := q.way.rights(schema.GroupResource{Group: q.on.Group, Resource: q.on.Resource})
	answers, errs := make([]bool, len(rights)), make([]error, len(rights))
	var asking sync.WaitGroup
	for i, right := range rights {
		asking.Go(func() { answers[i], errs[i] = r.may(ctx, who, q.on, right) })
	}
	asking.Wait()
	if q.yes = slices.Contains(answers, true); !q.yes {
		q.err = cmp.Or(errs...)
	}
	if q.err == nil {
		r.answers.Add(q.key, q.yes, answersFor)
	}
}

func (r *Reviews) may(ctx context.Context, who *v1alpha1.Identity, on authorizationv1.ResourceAttributes, right right) (bool, error) {
	on.Verb, on.Subresource = right.verb, right.subresource
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		ResourceAttributes: &on, User: who.Username, UID: who.UID, Groups: who.Groups, Extra: extraOf(who),
	}}
	r.asked.Add(1)
	if err := r.ask(ctx, review); err != nil {
		return false, fmt.Errorf("failed to ask whether %s may %s %s %s/%s: %w", who.Username, right.verb, on.Resource, on.Namespace, on.Name, err)
	}
	return review.Status.Allowed, nil
}

func extraOf(who *v1alpha1.Identity) map[string]authorizationv1.ExtraValue {
	extra := make(map[string]authorizationv1.ExtraValue, len(who.Extra))
	for key, values := range who.Extra {
		extra[key] = authorizationv1.ExtraValue(values)
	}
	return extra
}

// appendPerson writes who somebody is.
func appendPerson(text []byte, who *v1alpha1.Identity) []byte {
	text = appendTexts(text, who.Username, who.UID, strconv.Itoa(len(who.Groups)))
	text = appendTexts(text, who.Groups...)
	if len(who.Extra) == 0 {
		return text
	}
	for _, name := range slices.Sorted(maps.Keys(who.Extra)) {
		text = appendTexts(text, name, strconv.Itoa(len(who.Extra[name])))
		text = appendTexts(text, who.Extra[name]...)
	}
	return text
}

// appendTexts writes each text with its length, so that no two lists of texts are written the same.
func appendTexts(to []byte, texts ...string) []byte {
	for _, text := range texts {
		to = append(append(strconv.AppendInt(to, int64(len(text)), 10), ':'), text...)
	}
	return to
}

// MayWrite tells whether somebody could have made what one of some queries gives what it is.
func (r *Reader) MayWrite(ctx context.Context, who *v1alpha1.Identity, missing bool, queries ...gate.Query) (bool, error) {
	questions := make([]question, len(queries))
	for i := range queries {
		on, namespaced, err := r.attributes(&queries[i])
		if err != nil {
			return false, err
		}
		if queries[i].IsList() && namespaced && queries[i].Namespace == "" {
			// Somebody who may write in one namespace makes the list what it is, and which namespaces these are, nobody can ask.
			return true, nil
		}
		questions[i] = question{way: wayTo(&queries[i], missing), on: on}
	}
	return r.Reviews.mayAny(ctx, who, questions...)
}

// attributes say what a query gives, and whether objects of its kind are in namespaces.
func (r *Reader) attributes(query *gate.Query) (on authorizationv1.ResourceAttributes, namespaced bool, err error) {
	resource, namespaced, err := r.resourceOf(&query.ObjectReference)
	if err != nil {
		return authorizationv1.ResourceAttributes{}, false, err
	}
	on = authorizationv1.ResourceAttributes{Group: resource.Group, Resource: resource.Resource, Namespace: query.Namespace, Name: query.Name}
	if resource == (schema.GroupResource{Resource: "namespaces"}) {
		// The API server asks for rights on a namespace inside of it.
		on.Namespace = query.Name
	}
	return on, namespaced, nil
}

func wayTo(query *gate.Query, missing bool) way {
	switch {
	case query.IsList():
		return listing
	case missing:
		return removing
	}
	return making
}

func (r *Reader) resourceOf(ref *v1alpha1.ObjectReference) (resource schema.GroupResource, namespaced bool, err error) {
	if ref.APIVersion == "v1" && ref.Kind == "Namespace" {
		return schema.GroupResource{Resource: "namespaces"}, false, nil
	}
	resource, namespaced, err = r.Clients.ResourceOf(ref)
	if err != nil {
		return resource, false, fmt.Errorf("failed to find the resource of %s: %w", gate.Name(ref), err)
	}
	return resource, namespaced, nil
}
