package expression

import (
	"fmt"
	"slices"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
	"k8s.io/apimachinery/pkg/util/version"
	apiservercel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/apiserver/pkg/cel/library"
)

// languageVersion is the version of Kubernetes whose CEL libraries expressions can use. Raise it by hand, never to fall.
var languageVersion = version.MajorMinor(1, 37)

// kubernetes is the environment of Kubernetes without variables. It only parses and checks: its programs always count
// their cost, which makes them several times slower, and that option cannot be taken away again.
var kubernetes = sync.OnceValue(func() *cel.Env {
	return environment.MustBaseEnvSet(languageVersion).NewExpressionsEnv()
})

// planned are the libraries that change how programs are planned or what they cost, beyond the functions they declare.
// A test compares the list with the libraries of Kubernetes.
var planned = []cel.EnvOption{cel.OptionalTypes(), ext.Lists(ext.ListsVersion(3)), ext.Sets()}

// runtime is the environment in which programs run: the same functions with the guards, without the options of Kubernetes.
// Programs choose for themselves whether they count their cost.
var runtime = sync.OnceValues(func() (*cel.Env, error) {
	base := kubernetes()
	env, err := cel.NewCustomEnv(planned...)
	if err != nil {
		return nil, err
	}
	functions, err := guarded(base.Functions(), env.Functions())
	if err != nil {
		return nil, err
	}
	options := slices.Concat(functions, calendarFunctions(), teamFunctions(), clockFunctions())
	return env.Extend(append(options,
		cel.CustomTypeAdapter(base.CELTypeAdapter()), cel.CustomTypeProvider(&lenientProvider{Provider: base.CELTypeProvider()}))...)
})

// regexes are compiled once where they are literals.
var regexes = cel.OptimizeRegex(library.FindRegexOptimization, library.FindAllRegexOptimization)

// ground is what compilers of one place share.
type ground struct {
	scope *scope
	env   *cel.Env
}

// grounds holds the ground of each place, made when it is first needed.
var grounds sync.Map

func groundOf(place Place) (*ground, error) {
	if g, ok := grounds.Load(place); ok {
		return g.(*ground), nil //nolint:forcetypeassert // only grounds are stored below
	}
	s, err := scopeOf(place)
	if err != nil {
		return nil, err
	}
	env, err := extend(kubernetes(), s.objects(), s.options()...)
	if err != nil {
		return nil, fmt.Errorf("failed to make the CEL environment: %w", err)
	}
	g, _ := grounds.LoadOrStore(place, &ground{scope: s, env: env})
	return g.(*ground), nil //nolint:forcetypeassert // only grounds are stored
}

// extend adds types with fields, and options, to an environment.
func extend(env *cel.Env, types []*apiservercel.DeclType, options ...cel.EnvOption) (*cel.Env, error) {
	provider := apiservercel.NewDeclTypeProvider(types...)
	provider.SetRecognizeKeywordAsFieldName(true) // so that inputs.namespace needs no escape
	withTypes, err := provider.EnvOptions(env.CELTypeProvider())
	if err != nil {
		return nil, err
	}
	return env.Extend(append(withTypes, options...)...)
}
