package config

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	maxExpression = 4096
	maxWorkers    = 64
	maxOpen       = 100_000
	// maxDrain is as long as anybody may need to send nobody here any more.
	maxDrain = time.Minute
	// minKeyAge is longer than any rotation takes.
	minKeyAge = time.Hour
	// minDetails and maxDetails bound how long finished requests show everything.
	minDetails, maxDetails = time.Minute, 8760 * time.Hour
	// minFinished leaves people time to look at what has ended.
	minFinished = time.Hour
	// minRecords is longer than rules can look back at what was executed.
	minRecords = 192 * time.Hour
	// disabled is the address that serves nothing.
	disabled = "0"
)

// Validate checks every field and reports every error, in the order of the fields. Whether person.expression compiles is for
// the caller to find out.
func (c *Configuration) Validate() field.ErrorList {
	return slices.Concat(
		c.validateHead(),
		c.validatePeople(),
		c.validateOperator(),
		c.validateWebhook(),
		c.validateKeys(),
		c.validateAudit(),
		c.validateRetention(),
		c.validateEgress(),
		c.validateServing(),
	)
}

func (c *Configuration) validateHead() field.ErrorList {
	return slices.Concat(
		exactly(field.NewPath("apiVersion"), c.APIVersion, APIVersion),
		exactly(field.NewPath("kind"), c.Kind, Kind),
	)
}

func exactly(path *field.Path, value, accepted string) field.ErrorList {
	switch value {
	case accepted:
		return nil
	case "":
		return field.ErrorList{field.Required(path, fmt.Sprintf("%q is accepted", accepted))}
	default:
		return field.ErrorList{field.NotSupported(path, value, []string{accepted})}
	}
}

func (c *Configuration) validatePeople() field.ErrorList {
	requester, agents := field.NewPath("requester"), field.NewPath("requester", "agents")
	approvers := field.NewPath("approvers", "serviceAccounts")
	return slices.Concat(
		expression(field.NewPath("person", "expression"), c.Person.Expression),
		each(requester.Child("extraKeys"), c.Requester.ExtraKeys, verbatim),
		each(agents.Child("users"), c.Requester.Agents.Users, user),
		each(agents.Child("groups"), c.Requester.Agents.Groups, verbatim),
		each(agents.Child("serviceAccounts"), c.Requester.Agents.ServiceAccounts, account),
		each(approvers, c.Approvers.ServiceAccounts, account),
		upTo(requester.Child("maxOpen"), c.Requester.MaxOpen, maxOpen),
		upTo(requester.Child("maxDryRuns"), c.Requester.MaxDryRuns, maxOpen),
		c.validateApprovers(approvers),
	)
}

// validateApprovers refuses ServiceAccounts that must not approve for another reason.
func (c *Configuration) validateApprovers(path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, name := range c.Approvers.ServiceAccounts {
		if name == c.Operator.Namespace+"/"+c.Operator.ServiceAccount || name == c.Operator.Namespace+"/"+c.Operator.AdmissionServiceAccount {
			errs = append(errs, field.Forbidden(path.Index(i), fmt.Sprintf("%s is the operator itself, which never approves", name)))
		}
		if slices.Contains(c.Requester.Agents.ServiceAccounts, name) {
			errs = append(errs, field.Forbidden(path.Index(i), fmt.Sprintf("%s is one of requester.agents, and agents never approve", name)))
		}
	}
	return errs
}

func (c *Configuration) validateOperator() field.ErrorList {
	path, catalogs := field.NewPath("operator"), field.NewPath("catalogNamespaces")
	errs := slices.Concat(
		one(path.Child("namespace"), c.Operator.Namespace, validation.IsDNS1123Label),
		one(path.Child("serviceAccount"), c.Operator.ServiceAccount, validation.IsDNS1123Subdomain),
		each(catalogs, c.CatalogNamespaces, validation.IsDNS1123Label),
	)
	if own := c.Operator.AdmissionServiceAccount; own != "" {
		errs = append(errs, one(path.Child("admissionServiceAccount"), own, validation.IsDNS1123Subdomain)...)
	}
	for i, namespace := range c.CatalogNamespaces {
		if namespace == c.Operator.Namespace {
			errs = append(errs, field.Forbidden(catalogs.Index(i), fmt.Sprintf(
				"%s is operator.namespace: publish Actions in a namespace of their own", namespace)))
		}
	}
	return errs
}

func (c *Configuration) validateWebhook() field.ErrorList {
	var errs field.ErrorList
	path := field.NewPath("webhook")
	if _, err := netip.ParseAddr(c.Webhook.BindAddress); err != nil && c.Webhook.BindAddress != "" {
		errs = append(errs, field.Invalid(path.Child("bindAddress"), c.Webhook.BindAddress, `an IP address is accepted, or "" for all`))
	}
	for _, message := range validation.IsValidPortNum(c.Webhook.Port) {
		errs = append(errs, field.Invalid(path.Child("port"), c.Webhook.Port, message))
	}
	if !filepath.IsAbs(c.Webhook.CertDir) {
		errs = append(errs, field.Invalid(path.Child("certDir"), c.Webhook.CertDir,
			"the absolute path of the folder of tls.crt and tls.key is accepted"))
	}
	if strings.TrimSpace(c.Webhook.ClientCAFile) == "" {
		errs = append(errs, field.Required(path.Child("clientCAFile"),
			"the authority that signs the client certificate of the API server: without it anybody could pose as the API server"))
	}
	if drain := c.Webhook.Drain.Duration; drain < 0 || drain > maxDrain {
		errs = append(errs, field.Invalid(path.Child("drain"), drain.String(), fmt.Sprintf("0s to %s is accepted", maxDrain)))
	}
	return errs
}

func (c *Configuration) validateKeys() field.ErrorList {
	var errs field.ErrorList
	path := field.NewPath("keys")
	for name, file := range map[string]string{"admissionFile": c.Keys.AdmissionFile, "controllerFile": c.Keys.ControllerFile} {
		if file != "" && !filepath.IsAbs(file) {
			errs = append(errs, field.Invalid(path.Child(name), file, `the absolute path of a file or a folder is accepted, or "" for a Secret`))
		}
	}
	if c.Keys.AdmissionFile != "" && c.Keys.AdmissionFile == c.Keys.ControllerFile {
		errs = append(errs, field.Forbidden(path.Child("controllerFile"), "the two keys are apart, so that neither process alone can forge and execute: name another file"))
	}
	if age := c.Keys.MaxAge.Duration; age != 0 && age < minKeyAge {
		errs = append(errs, field.Invalid(path.Child("maxAge"), age.String(), fmt.Sprintf("at least %s is accepted, or 0s", minKeyAge)))
	}
	slices.SortFunc(errs, func(a, b *field.Error) int { return strings.Compare(a.Field, b.Field) })
	return errs
}

func (c *Configuration) validateRetention() field.ErrorList {
	path := field.NewPath("retention")
	finished, records := c.Retention.Finished.Duration, c.Retention.Records.Duration
	var errs field.ErrorList
	if details := c.Retention.Details.Duration; details < minDetails || details > maxDetails {
		errs = append(errs, field.Invalid(path.Child("details"), details.String(), fmt.Sprintf("%s to %s are accepted", minDetails, maxDetails)))
	}
	if finished != 0 && finished < minFinished {
		errs = append(errs, field.Invalid(path.Child("finished"), finished.String(), fmt.Sprintf("at least %s is accepted, or 0s: for ever", minFinished)))
	}
	switch {
	case records == 0:
	case records < minRecords:
		errs = append(errs, field.Invalid(path.Child("records"), records.String(), fmt.Sprintf("at least %s is accepted, because rules look back at what was executed, or 0s: for ever", minRecords)))
	case finished == 0 || records < finished:
		errs = append(errs, field.Invalid(path.Child("records"), records.String(), "Records are kept at least as long as requests (retention.finished)"))
	}
	return errs
}

func (c *Configuration) validateServing() field.ErrorList {
	health, metrics := field.NewPath("health", "bindAddress"), field.NewPath("metrics", "bindAddress")
	errs := one(health, c.Health.BindAddress, endpoint)
	if c.Metrics.BindAddress != disabled {
		errs = append(errs, one(metrics, c.Metrics.BindAddress, endpoint)...)
	}
	return append(errs, upTo(field.NewPath("workers"), c.Workers, maxWorkers)...)
}

// upTo demands a number from one to another.
func upTo(path *field.Path, value, most int) field.ErrorList {
	if value >= 1 && value <= most {
		return nil
	}
	return field.ErrorList{field.Invalid(path, value, fmt.Sprintf("a number from 1 to %d is accepted", most))}
}

func expression(path *field.Path, text string) field.ErrorList {
	if strings.TrimSpace(text) == "" {
		return field.ErrorList{field.Required(path, "a CEL expression over user, such as user.username")}
	}
	if len(text) > maxExpression {
		return field.ErrorList{field.TooLong(path, "", maxExpression)}
	}
	return nil
}

// check says what is wrong with a text. Nothing: it is good.
type check func(string) []string

func one(path *field.Path, text string, c check) field.ErrorList {
	var errs field.ErrorList
	for _, message := range c(text) {
		errs = append(errs, field.Invalid(path, text, message))
	}
	return errs
}

// each checks a list in which nothing stands twice.
func each(path *field.Path, texts []string, c check) field.ErrorList {
	var errs field.ErrorList
	for i, text := range texts {
		errs = append(errs, one(path.Index(i), text, c)...)
		if slices.Contains(texts[:i], text) {
			errs = append(errs, field.Duplicate(path.Index(i), text))
		}
	}
	return errs
}

// verbatim accepts what can be compared exactly with what the API server says.
func verbatim(text string) []string {
	if text == "" || strings.TrimSpace(text) != text {
		return []string{"a name is accepted, without blanks around it"}
	}
	return nil
}

func user(text string) []string {
	if strings.HasPrefix(text, "system:serviceaccount:") {
		return []string{`a ServiceAccount belongs in serviceAccounts, as "namespace/name"`}
	}
	return verbatim(text)
}

func account(text string) []string {
	namespace, name, ok := strings.Cut(text, "/")
	if !ok || len(validation.IsDNS1123Label(namespace)) > 0 || len(validation.IsDNS1123Subdomain(name)) > 0 {
		return []string{`a ServiceAccount is accepted as "namespace/name"`}
	}
	return nil
}

// endpoint accepts an address to listen on.
func endpoint(text string) []string {
	at := strings.LastIndex(text, ":")
	host, port := text[:max(at, 0)], text[at+1:]
	number, err := strconv.Atoi(port)
	if at < 0 || err != nil || len(validation.IsValidPortNum(number)) > 0 || !listensOn(host) {
		return []string{`"address:port" with an IP address is accepted, such as "127.0.0.1:8080", or ":port" for all addresses`}
	}
	return nil
}

// listensOn accepts an IP address, with brackets around IPv6, localhost, or nothing.
func listensOn(host string) bool {
	if host == "" || host == "localhost" {
		return true
	}
	inner, bracketed := strings.CutPrefix(host, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	address, err := netip.ParseAddr(inner)
	return err == nil && bracketed == closed && bracketed == address.Is6()
}
