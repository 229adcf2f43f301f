package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/cli/agent"
)

// NameOfToken is the name of the request that somebody makes with a token. It depends on nothing else, so that one token never makes two requests in
// a namespace; and nobody who does not know the token can take the name first.
func NameOfToken(username, token string) string {
	sum := sha256.Sum256([]byte(username + "\x00" + token))
	return "agent-" + hex.EncodeToString(sum[:16])
}

// Request implements agent.Cluster.
func (d *desk) Request(ctx context.Context, args *agent.NewRequest) *agent.Answer {
	return d.at(ctx, args.Namespace, func(ctx context.Context, s *session) *agent.Answer {
		who, err := s.connection.whoAmI(ctx)
		if err != nil {
			return unanswered(err)
		}
		catalog, _, _ := strings.Cut(args.Action, "/")
		if unfit := s.unfit(ctx, catalog, "asked for"); unfit != nil {
			return unfit
		}
		return s.requestOnce(ctx, who, s.wanted(&args.Ask, NameOfToken(who.Username, args.Token)))
	})
}

// unfit is the answer to who could approve by now. Nil: they could not. Rights change while an agent runs. Only the namespaces in play are looked at
// again; the start has looked at all.
func (s *session) unfit(ctx context.Context, catalog, what string) *agent.Answer {
	able, err := s.mayApprove(ctx, s.nearby(ctx, catalog))
	if err != nil && !errors.Is(err, errForbidden) {
		return unanswered(err)
	}
	if able != "" {
		return agent.Fail(agent.CodeMayApprove, "You could approve requests by now, so nothing is %s in your name.", what).With("why", "", able)
	}
	return nil
}

// requestOnce makes a request that may have been made before. It is looked for first: rules may by now refuse what was admitted once.
func (s *session) requestOnce(ctx context.Context, who *authenticationv1.UserInfo, wanted *unstructured.Unstructured) *agent.Answer {
	in := s.objects.Resource(resourceOf(requests)).Namespace(wanted.GetNamespace())
	known, err := in.Get(ctx, wanted.GetName(), metav1.GetOptions{})
	if err == nil {
		return sameRequest(who, wanted, known)
	}
	if !isMissing(err) {
		return unanswered(err)
	}
	created, err := in.Create(ctx, wanted, metav1.CreateOptions{FieldManager: fieldManager, FieldValidation: metav1.FieldValidationStrict})
	switch {
	case apierrors.IsAlreadyExists(err):
		// The same was asked at the same moment.
		if known, err = in.Get(ctx, wanted.GetName(), metav1.GetOptions{}); err != nil {
			return unanswered(err)
		}
		return sameRequest(who, wanted, known)
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return s.whyRefused(ctx, wanted, err)
	case err != nil:
		return unanswered(err)
	}
	request, err := typedAs[v1alpha1.ActionRequest](created)
	if err != nil {
		return unanswered(err)
	}
	answer := about(agent.Say(agent.CodeRequested, "Request %s/%s was made.", request.Namespace, request.Name), request)
	for _, warning := range s.connection.taken() {
		answer.With("warning", "", warning)
	}
	return answer
}

// whyRefused asks for the reason of a refusal, which only a dry run tells by a code.
func (s *session) whyRefused(ctx context.Context, wanted *unstructured.Unstructured, err error) *agent.Answer {
	text := refused(err).Error()
	out, failed := s.explained(ctx, wanted, "")
	if failed != nil || out.Allowed {
		// It may be otherwise by now.
		answer := agent.Fail(agent.CodeRefused, "It was refused.").With("refusal", "", text)
		if failed == nil {
			answer.Retry = agent.Retry{Advice: agent.AdviceLater, AfterSeconds: 1}
		}
		return answer
	}
	return explanation(out, true).With("refusal", "", text)
}

// sameRequest answers with a request that was there before, if it is what is asked for.
func sameRequest(who *authenticationv1.UserInfo, wanted, known *unstructured.Unstructured) *agent.Answer {
	request, err := typedAs[v1alpha1.ActionRequest](known)
	if err != nil {
		return unanswered(err)
	}
	where := request.Namespace + "/" + request.Name
	if by := request.Spec.Requester; by == nil || by.Username != who.Username || by.UID != who.UID {
		answer := agent.Fail(agent.CodeTokenTaken, "%s is there already, and was not made by you.", where)
		answer.Argument = "token"
		return answer
	}
	if !sameContent(wanted, known) {
		answer := agent.Fail(agent.CodeTokenReused, "With this token you asked for something else: %s.", where)
		answer.Argument = "token"
		return answer
	}
	answer := about(agent.Say(agent.CodeAlreadyRequested, "Request %s had been made before: %s.", where, stateOf(request).Meaning()), request)
	answer.Retry = statusOf(request).Retry
	return answer
}

// content are the fields of a request that say what is asked for. The others are written by Signoff, or after it was made.
var content = []string{"actionRef", "inputs", "reason", "duration", "notBefore", "expiresAt", "breakGlass", "onBehalfOf"}

// sameContent tells whether two requests ask for the same.
func sameContent(wanted, known *unstructured.Unstructured) bool {
	first, err := contentOf(wanted)
	if err != nil {
		return false
	}
	second, err := contentOf(known)
	return err == nil && bytes.Equal(first, second)
}

func contentOf(request *unstructured.Unstructured) ([]byte, error) {
	spec, _, err := unstructured.NestedMap(request.DeepCopy().Object, "spec")
	if err != nil {
		return nil, fmt.Errorf("failed to read a request: %w", err)
	}
	maps.DeleteFunc(spec, func(name string, _ any) bool { return !slices.Contains(content, name) })
	for _, name := range []string{"notBefore", "expiresAt"} {
		text, _ := spec[name].(string)
		if at, err := time.Parse(time.RFC3339, text); err == nil {
			// The same moment, however it is written.
			spec[name] = at.UTC().Format(time.RFC3339)
		}
	}
	if inputs, ok := spec["inputs"].(map[string]any); ok && len(inputs) == 0 {
		delete(spec, "inputs")
	}
	return json.Marshal(spec)
}
