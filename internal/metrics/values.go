package metrics

import "github.com/signoff-dev/signoff/api/v1alpha1"

// LabelValues are the values that labels of these metrics can have, where they are known beforehand, by metric and label.
func LabelValues() map[string]map[string][]string {
	return map[string]map[string][]string{
		"signoff_judgements_total": {
			"part":   texts([]Part{Admission, Controllers}),
			"effect": append(texts([]v1alpha1.Effect{v1alpha1.EffectAllow, v1alpha1.EffectRequireApproval, v1alpha1.EffectHold, v1alpha1.EffectDeny}), unknown),
		},
		"signoff_reviews_open":              {"overdue": {"true", "false"}},
		"signoff_forged_total":              {"reason": forgeries},
		"signoff_finished_removed_total":    {"kind": removable, "result": {removedNow, notRemoved}},
		"signoff_webhook_refused_total":     {"reason": texts(refusalsThereAre)},
		"signoff_requests_finished_total":   {"outcome": texts(outcomes)},
		"signoff_request_execution_seconds": {"outcome": texts(outcomes)},
		"signoff_requests_open":             {"phase": texts(openPhases)},
		"signoff_requests_stuck":            {"reason": stuckBy},
		"signoff_actions_unusable":          {"reason": unusableBy},
	}
}

func texts[T ~string](all []T) []string {
	var out []string
	for _, one := range all {
		out = append(out, string(one))
	}
	return out
}
