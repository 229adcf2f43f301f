package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
)

// fieldManager is under what name fields are written.
const fieldManager = "kubectl-signoff"

// kind is a kind of Signoff.
type kind struct {
	name, resource string
	// list is the command that shows what there is.
	list string
	// role is the ClusterRole that lets people read it.
	role string
}

var (
	requests    = kind{"ActionRequest", "actionrequests", "kubectl signoff list", "signoff-requester"}
	approvals   = kind{"Approval", "approvals", "kubectl signoff inbox", "signoff-approver"}
	delegations = kind{"Delegation", "delegations", "kubectl get delegations", "signoff-delegator"}
	actions     = kind{"Action", "actions", "kubectl signoff actions", "signoff-catalog-reader"}
	roles       = kind{"Role", "roles", "kubectl get roles.signoff.dev", "signoff-catalog-reader"}
	teams       = kind{"Team", "teams", "kubectl get teams", "signoff-team-reader"}
	// kinds are all that a word can name.
	kinds = []kind{
		requests, approvals, delegations, actions, roles, teams,
		{name: "ActionPolicy", resource: "actionpolicies"}, {name: "Calendar", resource: "calendars"}, {name: "Notifier", resource: "notifiers"}, {name: "Record", resource: "records"},
	}
)

// one is the name of one object of the kind, as -o name prints it.
func (k kind) one() string { return strings.ToLower(k.name) }

// session reads and writes objects of Signoff, as whom --as names or else as the caller.
type session struct {
	*Program
	connection *connection
	namespace  string
	// chosen says that a namespace was named on the command line.
	chosen bool
	// byHand says that a person typed the command, who can give it other flags.
	byHand bool
	// beside are further namespaces in which Actions are looked for.
	beside  []string
	objects dynamic.Interface
	tables  *rest.RESTClient
	// speaking is held by whoever prints, where several are followed at once.
	speaking sync.Mutex
	// away says that the API server did not answer when it was last asked. It is guarded by speaking.
	away bool
}

// callsPerSecond is more than the client allows by itself: an inbox takes a call for each Approval.
const callsPerSecond = 50

func (p *Program) session(command *cobra.Command, c *connection) (*session, error) {
	namespace, err := c.namespace()
	if err != nil {
		return nil, err
	}
	s, err := p.sessionIn(c, namespace, command.Flags().Changed("namespace"))
	if s != nil {
		s.byHand = true
	}
	return s, err
}

// allNamespaces adds -A to what looks everywhere by itself, since people are used to it.
func allNamespaces(command *cobra.Command) *bool {
	return command.Flags().BoolP("all-namespaces", "A", false, "in all namespaces, whatever -n says; it is so without -n too")
}

// sessionIn gives a session that looks at a namespace.
func (p *Program) sessionIn(c *connection, namespace string, chosen bool) (*session, error) {
	config, err := c.flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("failed to find the cluster: %w", err)
	}
	config = rest.CopyConfig(config)
	config.WarningHandler, config.UserAgent = c, fieldManager
	config.QPS, config.Burst = callsPerSecond, 2*callsPerSecond
	s := &session{Program: p, connection: c, namespace: namespace, chosen: chosen}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &listener{s, next} })
	if s.objects, err = dynamic.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("failed to make a client: %w", err)
	}
	s.tables, err = c.clientOf(config, v1alpha1.GroupVersion)
	return s, err
}

func resourceOf(k kind) schema.GroupVersionResource {
	return v1alpha1.GroupVersion.WithResource(k.resource)
}

// get reads one object.
func (s *session) get(ctx context.Context, k kind, namespace, name string) (*unstructured.Unstructured, error) {
	object, err := s.objects.Resource(resourceOf(k)).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, s.unread(ctx, err, k, namespace, name)
	}
	return object, nil
}

// errForbidden is what RBAC refuses.
var errForbidden = errors.New("may not")

// unread says why something could not be read, and what helps. An empty name is about a list, and an empty namespace about all.
func (s *session) unread(ctx context.Context, err error, k kind, namespace, name string) error {
	resource := k.resource + "." + v1alpha1.GroupVersion.Group
	verb, where, flag := "get", "in namespace "+namespace, "-n "+namespace
	if name == "" {
		verb = "list"
	}
	if namespace == "" {
		where, flag = "in all namespaces", "-A"
	}
	switch {
	case apierrors.IsForbidden(err):
		hint := ""
		if name == "" && s.byHand && !s.chosen {
			hint = "Name a namespace in which you may with -n.  Or: "
		}
		return fmt.Errorf("you (%s) %w %s %s %s.\n  %sAsk for the ClusterRole %s there.  Check: kubectl auth can-i %s %s %s",
			s.caller(ctx), errForbidden, verb, resource, where, hint, k.role, verb, resource, flag)
	case gate.Missing(err) && name != "":
		return &noSuch{err, fmt.Sprintf("there is no %s %s/%s; see what there is: %s -n %s", k.name, namespace, name, k.list, namespace)}
	case apierrors.IsNotFound(err):
		return fmt.Errorf("the cluster has no %s: Signoff is not installed: %w", resource, err)
	}
	return fmt.Errorf("failed to %s %s: %w", verb, resource, err)
}

// noSuch says in our words that something is not there.
type noSuch struct {
	cause error
	text  string
}

// Error implements error.
func (n *noSuch) Error() string { return n.text }

// Unwrap gives what the API server said.
func (n *noSuch) Unwrap() error { return n.cause }

// caller is who asks, as far as the API server tells.
func (s *session) caller(ctx context.Context) string {
	if who, err := s.connection.whoAmI(ctx); err == nil {
		return who.Username
	}
	return "whoever this is"
}

// typedAs gives an object its type.
func typedAs[T any](object *unstructured.Unstructured) (*T, error) {
	out := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, out); err != nil {
		return nil, fmt.Errorf("failed to read %s %s/%s, which may be of another version of Signoff: %w", object.GetKind(), object.GetNamespace(), object.GetName(), err)
	}
	return out, nil
}

// table is a list as the API server shows it to people, with its objects.
type table struct {
	metav1.Table
	// everywhere says that it is of several namespaces.
	everywhere bool
}

// rawOf gives the body of an answer. Of a refusal, the body says why, and the error that comes with it only that it is one.
func rawOf(result rest.Result) ([]byte, error) {
	if err := result.Error(); err != nil {
		return nil, err
	}
	return result.Raw()
}

// list reads all objects that a field selector selects, with the columns of kubectl get. An empty namespace stands for all.
func (s *session) list(ctx context.Context, k kind, namespace, selector string) (*table, error) {
	out := &table{everywhere: namespace == ""}
	raw, err := rawOf(s.tables.Get().NamespaceIfScoped(namespace, namespace != "").Resource(k.resource).
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").
		Param("includeObject", string(metav1.IncludeObject)).Param("fieldSelector", selector).Do(ctx))
	if err != nil {
		return nil, s.unread(ctx, err, k, namespace, "")
	}
	if err := json.Unmarshal(raw, &out.Table); err != nil {
		return nil, fmt.Errorf("failed to read the list of %s: %w", k.resource, err)
	}
	for i := range out.Rows {
		object := &unstructured.Unstructured{}
		if err := json.Unmarshal(out.Rows[i].Object.Raw, &object.Object); err != nil {
			return nil, fmt.Errorf("failed to read the list of %s: %w", k.resource, err)
		}
		out.Rows[i].Object = runtime.RawExtension{Object: object}
	}
	return out, nil
}

// object is the object of a row.
func (t *table) object(i int) *unstructured.Unstructured {
	object, _ := t.Rows[i].Object.Object.(*unstructured.Unstructured)
	return object
}

// keep drops all rows but those that are wanted.
func (t *table) keep(wanted func(*unstructured.Unstructured) bool) {
	t.Rows = slices.DeleteFunc(t.Rows, func(row metav1.TableRow) bool {
		object, ok := row.Object.Object.(*unstructured.Unstructured)
		return !ok || !wanted(object)
	})
}

// outputs are the flags by which objects are printed.
type outputs struct {
	flags *genericclioptions.PrintFlags
	// kept prints all objects of a command: the printer of YAML must know whether it is the first. A command says the same of all of them.
	kept printers.ResourcePrinter
}

// outputFlags adds -o and what belongs to it. Done is what is said of an object that was written.
func outputFlags(command *cobra.Command, done string) *outputs {
	o := &outputs{flags: genericclioptions.NewPrintFlags(done)}
	o.flags.AddFlags(command)
	formats, usage := []string{outputJSON, outputYAML, outputName}, "json, yaml, name"
	// Who says that something was done prints no table.
	if done == "" {
		formats, usage = append(formats, outputWide), usage+", wide"
	}
	command.Flags().Lookup("output").Usage = usage + ", jsonpath=…, jsonpath-as-json=…, jsonpath-file=…, go-template=… or go-template-file=…"
	_ = command.RegisterFlagCompletionFunc("output", among(append(formats, "jsonpath=", "jsonpath-as-json=", "jsonpath-file=", "go-template=", "go-template-file=")...))
	return o
}

func (o *outputs) format() string { return *o.flags.OutputFormat }

// forPeople tells whether a table is to be printed.
func (o *outputs) forPeople() bool { return o.format() == "" || o.format() == outputWide }

// printer prints objects, or says what was done to them.
func (o *outputs) printer(done string) (printers.ResourcePrinter, error) {
	if o.kept != nil {
		return o.kept, nil
	}
	printer, err := o.newPrinter(done)
	o.kept = printer
	return printer, err
}

func (o *outputs) newPrinter(done string) (printers.ResourcePrinter, error) {
	if err := o.flags.Complete(done); err != nil {
		return nil, fmt.Errorf("failed to read -o: %w", err)
	}
	printer, err := o.flags.ToPrinter()
	if err != nil {
		return nil, fmt.Errorf("failed to read -o: %w", err)
	}
	return printer, nil
}

// check finds out whether -o can be obeyed, before anything is done.
func (o *outputs) check(table bool) error {
	if table && o.forPeople() {
		return nil
	}
	_, err := o.newPrinter("%s")
	return err
}

// printTable prints a list.
func (p *Program) printTable(o *outputs, t *table, namespaced bool) error {
	switch {
	case o.format() == outputName && t.everywhere:
		return p.printNames(t)
	case o.forPeople():
		escapeCells(t)
		printer := printers.NewTablePrinter(printers.PrintOptions{Wide: o.format() == outputWide, WithNamespace: namespaced})
		return written(printer.PrintObj(&t.Table, p.IO.Out))
	}
	list := &unstructured.UnstructuredList{Object: map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{}}}
	for i := range t.Rows {
		list.Items = append(list.Items, *t.object(i))
	}
	printer, err := o.printer("%s")
	if err != nil {
		return err
	}
	return written(printer.PrintObj(list, p.IO.Out))
}

// printNames prints names that say the namespace too: those of kubectl leave it out, and then nobody can tell what they name.
func (p *Program) printNames(t *table) error {
	for i := range t.Rows {
		object := t.object(i)
		name := fmt.Sprintf("%s.%s/%s/%s\n", strings.ToLower(object.GetKind()), v1alpha1.GroupVersion.Group, object.GetNamespace(), object.GetName())
		if _, err := io.WriteString(p.IO.Out, name); err != nil {
			return written(err)
		}
	}
	return nil
}

// escapeCells keeps what others wrote from reaching a terminal: the printer knows control characters only.
func escapeCells(t *table) {
	for i := range t.Rows {
		for j, cell := range t.Rows[i].Cells {
			if text, ok := cell.(string); ok {
				t.Rows[i].Cells[j] = safe(text)
			}
		}
	}
}

// printObject prints one object, or says what was done to it.
func (p *Program) printObject(o *outputs, object runtime.Object, done string) error {
	printer, err := o.printer(done)
	if err != nil {
		return err
	}
	return written(printer.PrintObj(object, p.IO.Out))
}

func written(err error) error {
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("failed to write the answer: %w", err)
	}
	return nil
}
