package inputs

import (
	"slices"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ruleReasons are the reasons that a rule can give.
var ruleReasons = []string{
	string(apiextensions.FieldValueDuplicate), string(apiextensions.FieldValueForbidden),
	string(apiextensions.FieldValueInvalid), string(apiextensions.FieldValueRequired),
}

// checkRuleTexts judges what stands beside the expressions of rules.
func checkRuleTexts(s *apiextensions.JSONSchemaProps, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range s.XValidations {
		rule, at := &s.XValidations[i], path.Child("x-kubernetes-validations").Index(i)
		errs = append(errs, checkRuleText(rule, at)...)
		if rule.Reason != nil && !slices.Contains(ruleReasons, string(*rule.Reason)) {
			errs = append(errs, field.NotSupported(at.Child("reason"), string(*rule.Reason), ruleReasons))
		}
		for _, text := range []struct{ name, value string }{
			{"message", rule.Message}, {"messageExpression", rule.MessageExpression}, {"fieldPath", rule.FieldPath},
		} {
			if text.value != "" && strings.TrimSpace(text.value) == "" {
				errs = append(errs, field.Invalid(at.Child(text.name), text.value, "must be non-empty if specified"))
			}
		}
	}
	return errs
}

func checkRuleText(rule *apiextensions.ValidationRule, path *field.Path) field.ErrorList {
	message := strings.TrimSpace(rule.Message)
	var errs field.ErrorList
	switch {
	case strings.TrimSpace(rule.Rule) == "":
		errs = append(errs, field.Required(path.Child("rule"), "rule is not specified"))
	case severalLines(strings.TrimSpace(rule.Rule)) && message == "":
		errs = append(errs, field.Required(path.Child("message"), "message must be specified if rule contains line breaks"))
	}
	if severalLines(message) {
		errs = append(errs, field.Invalid(path.Child("message"), rule.Message, "must not contain line breaks"))
	}
	if severalLines(rule.FieldPath) {
		errs = append(errs, field.Invalid(path.Child("fieldPath"), rule.FieldPath, "must not contain line breaks"))
	}
	return errs
}

func severalLines(text string) bool { return strings.ContainsAny(text, "\n\r") }
