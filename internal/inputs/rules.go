package inputs

import (
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	schemacel "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

// checkRules refuses rules about how a value changes. Inputs never change, so such a rule would never run.
func checkRules(s *structuralschema.Structural, path *field.Path) field.ErrorList {
	if len(s.XValidations) == 0 {
		return nil
	}
	results, err := schemacel.Compile(s, model.SchemaDeclType(s, false), celconfig.PerCallLimit,
		environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()), schemacel.NewExpressionsEnvLoader())
	at := path.Child("x-kubernetes-validations")
	if err != nil {
		return field.ErrorList{field.Invalid(at, field.OmitValueType{}, err.Error())}
	}
	var errs field.ErrorList
	for i := range results {
		if results[i].UsesOldSelf {
			errs = append(errs, field.Invalid(at.Index(i).Child("rule"), s.XValidations[i].Rule,
				"must not use oldSelf: inputs never change, so the rule would never run"))
		}
	}
	return errs
}
