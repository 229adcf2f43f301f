package guard

import (
	"fmt"
	"net/url"
	"strings"
)

// canaryWebhook is the webhook of both configurations that a canary passes, and so proves.
const canaryWebhook = "requests.signoff.dev"

// place is where the API server asks a webhook, and by whom it knows that it is the right one. They differ from cluster to cluster. So what is
// compared is that all webhooks have the same as those that the canary passes: else one of them could be answered by anybody.
type place struct {
	// webhook names it, with its pass: "validating webhook governing.signoff.dev".
	webhook string
	// address is the host or the Service, with what comes before the path of the webhook.
	address string
	// authority signs the certificate.
	authority string
}

// isWebhooks tells whether this is a configuration of webhooks.
func (p *Protected) isWebhooks() bool { return p.kind == kindMutating || p.kind == kindValidating }

// passName is what the webhooks of a configuration do: "mutating".
func (p *Protected) passName() string {
	if p.kind == kindMutating {
		return "mutating"
	}
	return "validating"
}

// normalClient keeps of where a webhook is served the path, and whether there is an address and an authority.
func normalClient(config map[string]any) map[string]any {
	address, path := addressOf(config)
	given := map[string]any{"address": "none", "caBundle": "none"}
	if path != "" {
		given["path"] = path
	}
	if address != "" {
		given["address"] = "given"
	}
	if field[string](config, "caBundle") != "" {
		given["caBundle"] = "given"
	}
	return given
}

// addressOf parts where a webhook is served into the address and the path.
func addressOf(config map[string]any) (address, path string) {
	if service, ok := config["service"].(map[string]any); ok {
		fill(service, "port", float64(443))
		return fmt.Sprintf("Service %v/%v:%v", service["namespace"], service["name"], service["port"]), field[string](service, "path")
	}
	parsed, err := url.Parse(field[string](config, "url"))
	if err != nil || parsed.Host == "" {
		return "", ""
	}
	path = parsed.EscapedPath()
	parsed.Path, parsed.RawPath = "", ""
	return parsed.String(), path
}

// pathsOf gives the paths of webhooks as normalClient has them, by their names.
func pathsOf(webhooks []any) map[string]string {
	paths := map[string]string{}
	each(webhooks, func(webhook map[string]any) {
		paths[field[string](webhook, "name")] = field[string](field[map[string]any](webhook, "clientConfig"), "path")
	})
	return paths
}

// samePaths takes for the wanted path one that has something before it: a long random segment keeps others from guessing the address. That it is
// the same everywhere is compared with the address.
func samePaths(want, have map[string]any) {
	paths := pathsOf(field[[]any](want, "webhooks"))
	each(field[[]any](have, "webhooks"), func(webhook map[string]any) {
		config, path := field[map[string]any](webhook, "clientConfig"), paths[field[string](webhook, "name")]
		if path != "" && strings.HasSuffix(field[string](config, "path"), path) {
			config["path"] = path
		}
	})
}

// places says where the webhooks of a live configuration are served. One whose path is not as it must be is left out: that is a difference already.
func (p *Protected) places(live map[string]any) []place {
	if !p.isWebhooks() {
		return nil
	}
	var all []place
	paths := pathsOf(field[[]any](p.want, "webhooks"))
	each(field[[]any](clone(live), "webhooks"), func(webhook map[string]any) {
		name, config := field[string](webhook, "name"), field[map[string]any](webhook, "clientConfig")
		address, path := addressOf(config)
		before, ours := strings.CutSuffix(path, paths[name])
		if ours && address != "" {
			all = append(all, place{p.passName() + " webhook " + name, address + before, field[string](config, "caBundle")})
		}
	})
	return all
}

// Apart says which webhooks are served elsewhere than those that the canary passes, or are trusted by another authority.
func Apart(seen ...*Seen) []string {
	var all []place
	for _, one := range seen {
		all = append(all, one.places...)
	}
	var proved *place
	for i := range all {
		if strings.HasSuffix(all[i].webhook, " "+canaryWebhook) {
			proved = &all[i]
			break
		}
	}
	if proved == nil {
		return nil // that it is missing is said already
	}
	var wrong []string
	for i := range all {
		if all[i].address != proved.address {
			wrong = append(wrong, fmt.Sprintf("%s: clientConfig names %s, expected %s as in the %s, which the canary proves",
				all[i].webhook, short(all[i].address), short(proved.address), proved.webhook))
		}
		if all[i].authority != proved.authority {
			wrong = append(wrong, fmt.Sprintf("%s: clientConfig.caBundle is not that of the %s, which the canary proves", all[i].webhook, proved.webhook))
		}
	}
	return wrong
}
