package catalog

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// ReviewStage is the name of the stage that reviews what was done in an emergency.
const ReviewStage = "review"

// override compiles who may pass a rule in an emergency, and who reviews it then.
func (b *policyBuilder) override(rule *v1alpha1.PolicyRule, path *field.Path) *Override {
	from := rule.Override
	if from == nil {
		return nil
	}
	if rule.Effect != v1alpha1.PolicyDeny {
		b.errs = append(b.errs, field.Forbidden(path, "goes with effect Deny only: every emergency passes Hold and RequireApproval"))
	}
	b.errs = append(b.errs, CheckSubjects(&from.By, path.Child("by"))...)
	b.errs = append(b.errs, positive(path.Child("review", "within"), from.Review.Within)...)
	return &Override{By: &from.By, Within: from.Review.Within, Review: b.review(rule, path.Child("review", "approvers"))}
}

// review compiles the reviewers. They are written out: a fact that cannot be read must not stand in the way of an emergency.
func (b *policyBuilder) review(rule *v1alpha1.PolicyRule, path *field.Path) *Stage {
	if !b.writtenOut(&rule.Override.Review.Approvers, path) {
		return nil
	}
	requirement, _, errs := compileRequirement(v1alpha1.Requirement{Name: rule.Name, Approvers: rule.Override.Review.Approvers, Count: 1}, b.approvers, path)
	b.errs = append(b.errs, errs...)
	return &Stage{Ref: v1alpha1.StageReference{Policy: b.object.Name, Name: ReviewStage}, Requirements: []Requirement{requirement}}
}

// writtenOut refuses templates and expressions among the reviewers.
func (b *policyBuilder) writtenOut(approvers *v1alpha1.Approvers, path *field.Path) bool {
	all := true
	const why = "name the reviewers: a template or an expression reads facts, and a fact that cannot be read must not stand in the way of an emergency"
	if approvers.Expression != "" {
		all = false
		b.errs = append(b.errs, field.Invalid(path.Child("expression"), approvers.Expression, why))
	}
	for _, list := range ApproverLists(approvers) {
		for i, name := range list.Names {
			if strings.Contains(name, "${") {
				all = false
				b.errs = append(b.errs, field.Invalid(path.Child(string(list.Kind)).Index(i), name, why))
			}
		}
	}
	return all
}
