package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/signoff-dev/signoff/internal/audit"
	"github.com/signoff-dev/signoff/internal/canonical"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/keys"
	"github.com/signoff-dev/signoff/internal/seal"
)

func (p *Program) audit() *cobra.Command {
	command := &cobra.Command{
		Use:   "audit",
		Short: "Verify and show audit logs",
		Long: `Verifies and shows audit logs: one line per fact, each chained to the one before, signed from time to time, with the seals of what people and
the operator said.`,
		Example: `  kubectl signoff audit verify audit.jsonl
  kubectl signoff audit show audit.jsonl`,
	}
	command.AddCommand(p.auditVerify(), p.auditShow())
	return group(command)
}

// auditOptions are the flags of `audit verify`.
type auditOptions struct {
	keys      string
	after     string
	reaches   string
	namespace string
	output    string
}

func (p *Program) auditVerify() *cobra.Command {
	o := &auditOptions{}
	command := &cobra.Command{
		Use:   "verify FILE...",
		Short: "Verify an audit log with public keys only",
		Long: `Verifies an audit log: that no line was changed, removed, inserted or moved, and that every seal in it is valid and proves what the line
says. The first gap is named, with its file, its line and why. Several files are read as one log, in the order in which they are given.

With --keys nothing is asked of a cluster. Without, the public keys are read from the ConfigMap signoff-keys. Keys that have been dropped from
it are missing then: keep earlier versions of it.

What comes after the last checkpoint is signed by nobody yet, and the answer says how much that is. That the end was cut off, back to a
checkpoint, is found only with --reaches and the end that an earlier answer named.

The exit code is 0 if there is no gap, 1 if there is one, or a seal was made after its key was revoked, and 2 if there is no answer.`,
		Example: `  # With the keys of the cluster
  kubectl signoff audit verify audit.jsonl

  # Years later, on another machine
  kubectl get configmap -n signoff-system signoff-keys -o jsonpath='{.data.keys\.json}' > keys.json
  kubectl signoff audit verify --keys keys.json audit-2026-*.jsonl

  # Only what came since, and that nothing is missing
  kubectl signoff audit verify --after "$END" later.jsonl
  kubectl signoff audit verify --reaches "$END" audit.jsonl`,
		Args: takes(1, many),
	}
	c := p.connect(command)
	command.RunE = func(cmd *cobra.Command, args []string) error { return p.runAuditVerify(cmd.Context(), c, o, args) }
	command.Flags().StringVar(&o.keys, "keys", "", "a file with the public keys (default: those of the cluster)")
	command.Flags().StringVar(&o.after, "after", "", "where an earlier part, which was verified, ended: LOG/COUNT/HASH")
	command.Flags().StringVar(&o.reaches, "reaches", "", "a place that the log is known to have reached: LOG/COUNT/HASH")
	command.Flags().StringVar(&o.namespace, "operator-namespace", config.DefaultNamespace, "the namespace of the operator")
	answerFlag(command, &o.output, outputText, outputJSON, outputYAML)
	return command
}

// Verified is what was found in an audit log, for programs.
type Verified struct {
	// Lines, Checkpoints and Seals are how many were verified.
	Lines       int64 `json:"lines"`
	Checkpoints int64 `json:"checkpoints"`
	Seals       int64 `json:"seals"`
	// Unknown are lines of types that a newer version writes, and Unlinked votes on Approvals that were opened in an earlier log.
	Unknown  int64 `json:"unknown,omitempty"`
	Unlinked int64 `json:"unlinked,omitempty"`
	// Logs are the logs, one after the other, and Earlier those that they say to continue, and which are not here.
	Logs    []VerifiedLog `json:"logs"`
	Earlier []string      `json:"earlier,omitempty"`
	// Revoked are seals that were made after their key was revoked, the first of them, and MoreRevoked how many more there are.
	Revoked     []VerifiedGap `json:"revoked,omitempty"`
	MoreRevoked int64         `json:"moreRevoked,omitempty"`
	// Gap is the first gap.
	Gap *VerifiedGap `json:"gap,omitempty"`
}

// VerifiedLog is one log.
type VerifiedLog struct {
	Cluster string `json:"cluster"`
	// End is where it ends, as --after and --reaches take it.
	End string `json:"end"`
	// Signed is up to which line it is signed, SignedAt when that was, and Unsigned how many lines follow.
	Signed   int64      `json:"signed"`
	SignedAt *time.Time `json:"signedAt,omitempty"`
	Unsigned int64      `json:"unsigned"`
	// Unvouched are lines that nobody had signed when the process that wrote them ended.
	Unvouched []string `json:"unvouched,omitempty"`
}

// VerifiedGap is the first thing that is wrong.
type VerifiedGap struct {
	File    string `json:"file"`
	Line    int64  `json:"line"`
	Event   string `json:"event,omitempty"`
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

func (p *Program) runAuditVerify(ctx context.Context, c *connection, o *auditOptions, names []string) error {
	if err := checkOutput(o.output, outputText, outputJSON, outputYAML); err != nil {
		return err
	}
	options, err := o.options()
	if err != nil {
		return err
	}
	ring, err := o.keyring(ctx, c)
	if err != nil {
		return err
	}
	files, err := p.openAll(names)
	if err != nil {
		return err
	}
	defer files.close()
	report, err := audit.Verify(files, ring, options...)
	if err != nil {
		return err
	}
	out := verified(report, files)
	if err := p.print(o.output, 0, out, func() string { return out.text(names) }); err != nil {
		return err
	}
	if report.Err() != nil {
		return errNo
	}
	return nil
}

func (o *auditOptions) options() ([]audit.Option, error) {
	var options []audit.Option
	for _, one := range []struct {
		flag, text string
		option     func(audit.Position) audit.Option
	}{{"--after", o.after, audit.After}, {"--reaches", o.reaches, audit.Reaches}} {
		if one.text == "" {
			continue
		}
		at, err := parsePosition(one.text)
		if err != nil {
			return nil, fmt.Errorf("failed to read %s: %w", one.flag, err)
		}
		options = append(options, one.option(at))
	}
	return options, nil
}

func positionText(at audit.Position) string {
	return fmt.Sprintf("%s/%d/%s", at.Chain, at.Count, at.Head)
}

func parsePosition(text string) (audit.Position, error) {
	parts := strings.Split(strings.TrimSpace(text), "/")
	if len(parts) == 3 {
		count, err := strconv.ParseInt(parts[1], 10, 64)
		if err == nil && count > 0 && parts[0] != "" && canonical.IsSum(parts[2]) {
			return audit.Position{Chain: parts[0], Count: count, Head: parts[2]}, nil
		}
	}
	return audit.Position{}, fmt.Errorf("%q is not like LOG/COUNT/HASH, as verify names the end of a log", text)
}

// keyring reads the public keys from a file or from the cluster.
func (o *auditOptions) keyring(ctx context.Context, c *connection) (*seal.Keyring, error) {
	var raw []byte
	var err error
	if o.keys != "" {
		if raw, err = os.ReadFile(o.keys); err != nil {
			return nil, fmt.Errorf("failed to read the public keys: %w", err)
		}
	} else if raw, err = c.publicKeys(ctx, o.namespace); err != nil {
		return nil, err
	}
	document, err := keys.ParseDocument(raw)
	if err != nil {
		return nil, err
	}
	return document.Keyring()
}

// publicKeys reads the ConfigMap with the public keys.
func (c *connection) publicKeys(ctx context.Context, namespace string) ([]byte, error) {
	client, err := c.own()
	if err != nil {
		return nil, err
	}
	raw, err := rawOf(client.Get().AbsPath("/api/v1/namespaces", namespace, "configmaps", keys.DocumentName).Do(ctx))
	if err != nil {
		return nil, fmt.Errorf("failed to read the public keys from ConfigMap %s/%s (or give them with --keys): %w", namespace, keys.DocumentName, err)
	}
	var published struct {
		Data map[string]string `json:"data"`
	}
	if err := json.Unmarshal(raw, &published); err != nil {
		return nil, fmt.Errorf("failed to read ConfigMap %s/%s: %w", namespace, keys.DocumentName, err)
	}
	return []byte(published.Data[keys.DocumentKey]), nil
}

// openFiles are several files that are read as one, and know which line is where.
type openFiles struct {
	names []string
	in    []io.ReadCloser
	// lines are the ends of lines that were read of each file.
	lines   []int64
	current int
}

func (p *Program) openAll(names []string) (*openFiles, error) {
	files := &openFiles{names: names, lines: make([]int64, len(names))}
	for _, name := range names {
		if name == "-" {
			files.in = append(files.in, io.NopCloser(p.IO.In))
			continue
		}
		file, err := os.Open(name)
		if err != nil {
			files.close()
			return nil, fmt.Errorf("failed to read the audit log: %w", err)
		}
		files.in = append(files.in, file)
	}
	return files, nil
}

func (f *openFiles) close() {
	for _, in := range f.in {
		_ = in.Close()
	}
}

// Read implements io.Reader.
func (f *openFiles) Read(into []byte) (int, error) {
	for f.current < len(f.in) {
		n, err := f.in[f.current].Read(into)
		f.lines[f.current] += int64(strings.Count(string(into[:n]), "\n"))
		if !errors.Is(err, io.EOF) {
			return n, err
		}
		f.current++
		if n > 0 {
			return n, nil
		}
	}
	return 0, io.EOF
}

// place is where a line of all files is.
func (f *openFiles) place(line int64) (string, int64) {
	for i, lines := range f.lines {
		if line <= lines || i == len(f.lines)-1 || i >= f.current {
			return f.names[i], line
		}
		line -= lines
	}
	return "", line
}

func verified(r *audit.Report, files *openFiles) *Verified {
	out := &Verified{Lines: r.Lines, Checkpoints: r.Checkpoints, Seals: r.Seals, Unknown: r.Unknown, Unlinked: r.Unlinked, Logs: []VerifiedLog{}}
	for i := range r.Chains {
		chain := &r.Chains[i]
		log := VerifiedLog{Cluster: chain.Cluster, End: positionText(chain.End), Signed: chain.Signed, Unsigned: chain.Unsigned()}
		if !chain.SignedAt.IsZero() {
			log.SignedAt = &chain.SignedAt
		}
		for _, lines := range r.Unvouched {
			if lines.Chain == chain.End.Chain {
				log.Unvouched = append(log.Unvouched, fmt.Sprintf("%d-%d", lines.From, lines.Through))
			}
		}
		out.Logs = append(out.Logs, log)
	}
	for _, earlier := range r.Earlier {
		out.Earlier = append(out.Earlier, positionText(earlier))
	}
	for _, gap := range r.Revoked {
		out.Revoked = append(out.Revoked, *files.gap(gap))
	}
	out.MoreRevoked = r.MoreRevoked
	if r.Gap != nil {
		out.Gap = files.gap(r.Gap)
	}
	return out
}

// gap says in which file a gap is.
func (f *openFiles) gap(gap *audit.Gap) *VerifiedGap {
	out := &VerifiedGap{Event: gap.EventID, Kind: string(gap.Kind), Message: gap.Message}
	out.File, out.Line = f.place(gap.Line)
	return out
}

func (g *VerifiedGap) text() string {
	event := ""
	if g.Event != "" {
		event = " (" + g.Event + ")"
	}
	return fmt.Sprintf("%s, line %d%s: %s: %s", g.File, g.Line, event, g.Kind, g.Message)
}

func (v *Verified) text(names []string) string {
	out := &strings.Builder{}
	for i := range v.Revoked {
		_, _ = fmt.Fprintf(out, "REVOKED in %s\n", v.Revoked[i].text())
	}
	if v.MoreRevoked > 0 {
		_, _ = fmt.Fprintf(out, "REVOKED: %d seals more.\n", v.MoreRevoked)
	}
	if v.Gap != nil {
		_, _ = fmt.Fprintf(out, "GAP in %s\n", v.Gap.text())
		_, _ = fmt.Fprintf(out, "Until that was found, %s were verified.\n", v.counted())
	} else {
		what := "no gap"
		if len(v.Revoked) > 0 {
			what = "no other gap"
		}
		_, _ = fmt.Fprintf(out, "%s: %s in %s.\n", strings.Join(names, ", "), what, v.counted())
	}
	for i := range v.Logs {
		v.Logs[i].text(out)
	}
	for _, earlier := range v.Earlier {
		_, _ = fmt.Fprintf(out, "  One of them continues a log that is not here: %s\n", earlier)
	}
	if v.Unlinked > 0 {
		_, _ = fmt.Fprintf(out, "  Votes on Approvals that were opened in an earlier log, or on which an execution began: %d.\n", v.Unlinked)
	}
	if v.Unknown > 0 {
		_, _ = fmt.Fprintf(out, "  Lines of types that this version does not know: %d. They are in the chain, and nothing is known about what they say.\n", v.Unknown)
	}
	return out.String()
}

func (v *Verified) counted() string {
	return fmt.Sprintf("%d lines with %d seals and %d checkpoints", v.Lines, v.Seals, v.Checkpoints)
}

func (l *VerifiedLog) text(out io.Writer) {
	signed := "no line is signed"
	if l.Signed > 0 {
		signed = fmt.Sprintf("signed up to line %d", l.Signed)
	}
	if l.SignedAt != nil {
		signed += l.SignedAt.UTC().Format(" on 2006-01-02 at 15:04:05Z")
	}
	_, _ = fmt.Fprintf(out, "  Log of cluster %s: %s; %d lines after that are signed by nobody yet.\n", l.Cluster, signed, l.Unsigned)
	if len(l.Unvouched) > 0 {
		_, _ = fmt.Fprintf(out, "  Nobody had signed lines %s when the process that wrote them ended.\n", strings.Join(l.Unvouched, ", "))
	}
	_, _ = fmt.Fprintf(out, "  End: %s\n", l.End)
}
