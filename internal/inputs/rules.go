package inputs

import (
	"fmt"
	"maps"
	"math"
	"math/bits"
	"slices"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	schemacel "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	apiservercel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

// What the rules of a schema may cost at most, each and together, in the units of CEL. The API server has the same limits for a custom
// resource.
const (
	mostRuleCost  = 10_000_000
	mostTotalCost = 100_000_000
)

// checkAllRules compiles the rules of a schema and of all inside of it, and bounds what they cost.
func checkAllRules(s *structuralschema.Structural, path *field.Path) field.ErrorList {
	c := &ruleChecker{}
	once := uint64(1)
	c.walk(s, path, &once)
	if c.total > mostTotalCost && len(c.errs) == 0 {
		c.errs = append(c.errs, field.Forbidden(path, "all x-kubernetes-validations together: "+tooDear(c.total, mostTotalCost)))
	}
	return c.errs
}

// ruleChecker collects what is wrong with rules, and their costs.
type ruleChecker struct {
	errs  field.ErrorList
	total uint64
}

// walk checks a schema whose value can be there so many times. Nil: nobody knows how many times.
func (c *ruleChecker) walk(s *structuralschema.Structural, path *field.Path, times *uint64) {
	if len(s.XValidations) > 0 {
		c.check(s, path.Child("x-kubernetes-validations"), times)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		property := s.Properties[name]
		c.walk(&property, path.Child("properties").Key(name), times)
	}
	if s.Items != nil {
		c.walk(s.Items, path.Child("items"), product(times, valuesOf(s).MaxItems))
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Structural != nil {
		c.walk(s.AdditionalProperties.Structural, path.Child("additionalProperties"), product(times, valuesOf(s).MaxProperties))
	}
}

func product(times *uint64, most *int64) *uint64 {
	if times == nil || most == nil {
		return nil
	}
	return new(multiply(*times, uint64(max(*most, 0))))
}

// multiply gives the greatest number there is where the product would be greater.
func multiply(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	if high > 0 {
		return math.MaxUint64
	}
	return low
}

func (c *ruleChecker) check(s *structuralschema.Structural, path *field.Path, times *uint64) {
	results, err := schemacel.Compile(s, model.SchemaDeclType(s, false), celconfig.PerCallLimit,
		environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()), schemacel.NewExpressionsEnvLoader())
	if err != nil {
		c.errs = append(c.errs, field.Invalid(path, field.OmitValueType{}, err.Error()))
		return
	}
	for i := range results {
		rule, at, times := &s.XValidations[i], path.Index(i), times
		if times == nil {
			times = &results[i].MaxCardinality
		}
		c.compiled(at.Child("rule"), rule.Rule, results[i].Error, multiply(results[i].MaxCost, *times))
		c.compiled(at.Child("messageExpression"), rule.MessageExpression, results[i].MessageExpressionError, results[i].MessageExpressionMaxCost)
		if results[i].UsesOldSelf || rule.OptionalOldSelf != nil {
			c.errs = append(c.errs, field.Invalid(at.Child("rule"), rule.Rule, "must not use oldSelf: inputs never change, so the rule would never run"))
		}
		if rule.FieldPath == "" {
			continue
		}
		if _, _, err := schemacel.ValidFieldPath(rule.FieldPath, s); err != nil {
			c.errs = append(c.errs, field.Invalid(at.Child("fieldPath"), rule.FieldPath, "must be a valid path"))
		}
	}
}

// compiled notes what is wrong with an expression, and its cost.
func (c *ruleChecker) compiled(path *field.Path, source string, err *apiservercel.Error, cost uint64) {
	switch {
	case err != nil:
		c.errs = append(c.errs, field.Invalid(path, source, err.Detail))
	case cost > mostRuleCost:
		c.errs = append(c.errs, field.Forbidden(path, tooDear(cost, mostRuleCost)))
	}
	total, carry := bits.Add64(c.total, cost, 0)
	if carry > 0 {
		total = math.MaxUint64
	}
	c.total = total
}

func tooDear(cost, most uint64) string {
	times := "more than 100"
	if factor := float64(cost) / float64(most); factor <= 100 {
		times = fmt.Sprintf("%.1f", factor)
	}
	return fmt.Sprintf("it can cost %s times what is allowed: make it simpler, or bound texts, lists and maps by maxLength, maxItems and maxProperties", times)
}
