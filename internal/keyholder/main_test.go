package keyholder

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/internal/keys"
	"github.com/signoff-dev/signoff/internal/seal"
	"github.com/signoff-dev/signoff/test/env"
)

const (
	// patience is how long a test waits for what must happen.
	patience = time.Minute
	// keepFor is how long public keys are kept after their end.
	keepFor = 10 * time.Minute
)

var (
	cluster *env.Cluster
	// admin prepares and looks.
	admin client.Client
	// rights are those of the operator in its namespace, by the names of the Roles in config/rbac.
	rights = map[string][]rbacv1.PolicyRule{}

	both = []seal.Purpose{seal.Admission, seal.Controller}
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctrl.SetLogger(logr.Discard())
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var err error
	if cluster, err = env.Start(ctx, env.Options{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer cluster.Stop()
	if err := prepare(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func prepare(ctx context.Context) (err error) {
	if admin, err = client.New(cluster.Admin, client.Options{}); err != nil {
		return err
	}
	if err := admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: env.SystemNamespace}}); err != nil {
		return err
	}
	for file, name := range map[string]string{
		"config/rbac/role.yaml": "signoff", "config/rbac/admission/role.yaml": "signoff-admission", "config/rbac/controller/role.yaml": "signoff-controller",
	} {
		if err := cluster.ApplyFile(ctx, file); err != nil {
			return err
		}
		role := &rbacv1.Role{}
		if err := admin.Get(ctx, client.ObjectKey{Namespace: env.SystemNamespace, Name: name}, role); err != nil {
			return err
		}
		rights[name] = role.Rules
	}
	return nil
}

// place is a namespace of an operator.
type place struct {
	t         *testing.T
	namespace string
	clock     *clocktesting.FakeClock
	// sealed says that something in the cluster has a seal.
	sealed atomic.Bool
	// operator has the rights that config/rbac grants.
	operator *rest.Config
}

func newPlace(t *testing.T) *place {
	t.Helper()
	t.Parallel()
	created := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "keys-"}}
	if err := admin.Create(t.Context(), created); err != nil {
		t.Fatal(err)
	}
	p := &place{t: t, namespace: created.Name, clock: clocktesting.NewFakeClock(time.Now())}
	p.operator = p.identity("signoff", rights["signoff"])
	return p
}

// identity makes a ServiceAccount with these rights in the namespace.
func (p *place) identity(name string, rules []rbacv1.PolicyRule) *rest.Config {
	p.t.Helper()
	cfg, err := cluster.ServiceAccount(p.t.Context(), p.namespace, name)
	if err != nil {
		p.t.Fatal(err)
	}
	meta := metav1.ObjectMeta{Namespace: p.namespace, Name: name}
	for _, object := range []client.Object{
		&rbacv1.Role{ObjectMeta: meta, Rules: rules},
		&rbacv1.RoleBinding{
			ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
			Subjects: []rbacv1.Subject{env.ToServiceAccount(p.namespace, name)},
		},
	} {
		if err := admin.Create(p.t.Context(), object); err != nil {
			p.t.Fatal(err)
		}
	}
	own, err := client.New(cfg, client.Options{})
	if err != nil {
		p.t.Fatal(err)
	}
	// The API server hears of a Role a moment later.
	p.atOnce(func() error {
		return own.List(p.t.Context(), &coordinationv1.LeaseList{}, client.InNamespace(p.namespace))
	})
	return cfg
}

// rightsOf are the rights of a process that holds one key only.
func rightsOf(purpose seal.Purpose) []rbacv1.PolicyRule {
	return rights["signoff-"+string(purpose)]
}

func (p *place) options(replica string) Options {
	p.t.Helper()
	c, err := client.New(p.operator, client.Options{})
	if err != nil {
		p.t.Fatal(err)
	}
	return Options{
		Client: c, Config: p.operator, Namespace: p.namespace, Holds: both, Clock: p.clock, Replica: replica, KeepFor: keepFor,
		Sealed: func(context.Context, seal.Purpose) (bool, error) { return p.sealed.Load(), nil },
	}
}

// replica is a holder that runs.
type replica struct {
	*Holder
	stop func()
}

func (p *place) start(name string, changes ...func(*Options)) *replica {
	p.t.Helper()
	options := p.options(name)
	for _, change := range changes {
		change(&options)
	}
	h, err := New(options)
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Start(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			p.t.Errorf("%s ended with %v", name, err)
		}
	})
	p.t.Cleanup(stop)
	return &replica{Holder: h, stop: stop}
}

// ready starts a replica, and waits until it can seal.
func (p *place) ready(name string, changes ...func(*Options)) *replica {
	p.t.Helper()
	r := p.start(name, changes...)
	p.eventually(r.Ready)
	return r
}

// eventually waits until the check holds, while the clock goes somewhat faster than usual. The check says what it saw.
func (p *place) eventually(check func() error) {
	p.t.Helper()
	p.waiting(250*time.Millisecond, check)
}

// atOnce waits until the check holds, while no time passes.
func (p *place) atOnce(check func() error) {
	p.t.Helper()
	p.waiting(0, check)
}

func (p *place) waiting(step time.Duration, check func() error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	ticks := time.NewTicker(20 * time.Millisecond)
	defer ticks.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			p.t.Fatalf("it did not happen within %s: %v", patience, err)
		case <-ticks.C:
			if step > 0 {
				p.clock.Step(step)
			}
		}
	}
}

// is waits for a state of keys.
func (p *place) is(r *replica, purpose seal.Purpose, want keys.State) string {
	p.t.Helper()
	return p.state(r, purpose, want, 250*time.Millisecond)
}

// turns waits for a state of keys while no time passes: a watch must report it.
func (p *place) turns(r *replica, purpose seal.Purpose, want keys.State) {
	p.t.Helper()
	p.state(r, purpose, want, 0)
}

func (p *place) state(r *replica, purpose seal.Purpose, want keys.State, step time.Duration) string {
	p.t.Helper()
	var message string
	p.waiting(step, func() (err error) {
		var state keys.State
		if state, message = r.State(purpose); state != want {
			err = fmt.Errorf("the %s key is %s, not %s: %s", purpose, state, want, message)
		}
		return err
	})
	return message
}

// payload makes something that the key of a purpose seals.
func (p *place) payload(purpose seal.Purpose) seal.Payload {
	p.t.Helper()
	hash, now := "sha256:"+strings.Repeat("0", 64), p.clock.Now().UnixMilli()
	kind := seal.TypeEdit
	raw := fmt.Appendf(nil, `{"cluster":"c","resource":"r","iat":%d,"name":"n","uid":"u","actor":{"username":"x"},"content":%q}`, now, hash)
	if purpose == seal.Controller {
		kind = seal.TypeHead
		raw = fmt.Appendf(nil, `{"cluster":"c","resource":"r","namespace":"n","iat":%d,"approval":"a","request":"q","hash":%q,"state":"Open"}`, now, hash)
	}
	out, err := seal.ParsePayload(kind, raw)
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

// sign seals something, and gives the key.
func (p *place) sign(r *replica, purpose seal.Purpose) string {
	p.t.Helper()
	what := p.payload(purpose)
	e, err := r.Sign(what)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := seal.Verify(what, e.Seal.String(), r.Keyring()); err != nil {
		p.t.Fatal(err)
	}
	if key, hash, err := r.Keyed(purpose, []byte("what")); err != nil || key != e.Seal.KeyID || len(hash) != 32 {
		p.t.Errorf("what signs hashes too: %s, %x, %v", key, hash, err)
	}
	return e.Seal.KeyID
}

// refuses checks that nothing is signed, and why.
func (p *place) refuses(r *replica, purpose seal.Purpose, want Reason) {
	p.t.Helper()
	if _, err := r.Sign(p.payload(purpose)); ReasonOf(err) != want {
		p.t.Errorf("signing with the %s key: got %v, want %s", purpose, err, want)
	}
	if key, hash, err := r.Keyed(purpose, nil); ReasonOf(err) != want || key != "" || hash != nil {
		p.t.Errorf("hashing with the %s key: got %v, want %s", purpose, err, want)
	}
	if r.Ready() == nil && want != NotHeld {
		p.t.Errorf("the process is ready although it is %s", want)
	}
}

func (p *place) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: p.namespace, Name: name}
}

// secret reads the Secret of a purpose. Nil: there is none.
func (p *place) secret(purpose seal.Purpose) *corev1.Secret {
	p.t.Helper()
	secret := &corev1.Secret{ObjectMeta: p.meta(keys.SecretName(purpose))}
	if !p.get(secret) {
		return nil
	}
	return secret
}

// configMap reads the ConfigMap of public keys. Nil: there is none.
func (p *place) configMap() *corev1.ConfigMap {
	p.t.Helper()
	found := &corev1.ConfigMap{ObjectMeta: p.meta(keys.DocumentName)}
	if !p.get(found) {
		return nil
	}
	return found
}

func (p *place) get(object client.Object) bool {
	p.t.Helper()
	err := admin.Get(p.t.Context(), client.ObjectKeyFromObject(object), object)
	if err != nil && !apierrors.IsNotFound(err) {
		p.t.Fatal(err)
	}
	return err == nil
}

// public gives the public keys of a purpose as they are stored.
func (p *place) public(purpose seal.Purpose) []seal.PublicKey {
	p.t.Helper()
	found := p.configMap()
	if found == nil {
		return nil
	}
	document, err := keys.ParseDocument([]byte(found.Data[keys.DocumentKey]))
	if err != nil {
		p.t.Fatal(err)
	}
	return slices.DeleteFunc(document.Keys, func(k seal.PublicKey) bool { return k.Purpose != purpose })
}

// edit changes a document as a person does.
func (p *place) edit(change func(*corev1.ConfigMap)) {
	p.t.Helper()
	p.atOnce(func() error {
		found := p.configMap()
		if found == nil {
			found = &corev1.ConfigMap{ObjectMeta: p.meta(keys.DocumentName)}
			change(found)
			return admin.Create(p.t.Context(), found)
		}
		change(found)
		return admin.Update(p.t.Context(), found)
	})
}

// ask asks for a new key as a person does.
func (p *place) ask(purpose seal.Purpose) {
	p.t.Helper()
	p.clock.Step(2 * time.Second)
	p.edit(func(found *corev1.ConfigMap) {
		metav1.SetMetaDataAnnotation(&found.ObjectMeta, annotationNew+string(purpose), p.clock.Now().UTC().Format(time.RFC3339))
	})
}

func (p *place) remove(objects ...client.Object) {
	p.t.Helper()
	for _, object := range objects {
		if err := admin.Delete(p.t.Context(), object); err != nil {
			p.t.Fatal(err)
		}
	}
}

// passes lets time pass in which the replica does all that it does several times. Errors are part of that.
func (p *place) passes(r *replica) {
	p.t.Helper()
	for range 4 {
		p.clock.Step(period)
		_ = r.settle(p.t.Context())
	}
}
