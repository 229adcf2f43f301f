package setup

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/internal/evidence"
	"github.com/signoff-dev/signoff/internal/keyholder"
	"github.com/signoff-dev/signoff/internal/seal"
)

// keyTimeout bounds the look at the live keys while somebody waits for an answer.
const keyTimeout = 2 * time.Second

// keys are those of this process, as evidence needs them.
type keys struct{ *keyholder.Holder }

// Refresh reads the live keys, for a seal by one that is not known.
func (k keys) Refresh() bool {
	ctx, cancel := context.WithTimeout(context.Background(), keyTimeout)
	defer cancel()
	return k.Holder.Refresh(ctx) == nil
}

// seals makes what seals and verifies. A seal belongs to one cluster.
func (p *Process) seals() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	system := &corev1.Namespace{}
	if err := p.Manager.GetAPIReader().Get(ctx, types.NamespacedName{Name: metav1.NamespaceSystem}, system); err != nil {
		return fmt.Errorf("failed to read which cluster this is: %w", err)
	}
	live, err := client.New(p.Manager.GetConfig(), client.Options{Scheme: p.Manager.GetScheme(), Mapper: p.Manager.GetRESTMapper()})
	if err != nil {
		return fmt.Errorf("failed to create the client of the keys: %w", err)
	}
	options := keyholder.Options{
		Client: live, Config: p.Manager.GetConfig(), Namespace: p.cfg.Operator.Namespace, Sealed: (&sealed{p.Manager.GetAPIReader(), p.cfg.Operator.Namespace}).anything,
		Changed: p.wakeAll,
		Files:   map[seal.Purpose]string{}, Clock: clock.RealClock{}, Replica: replica(),
		MaxKeyAge: p.cfg.Keys.MaxAge.Duration, KeepFor: evidence.MaxAge,
	}
	for purpose, part := range map[seal.Purpose]struct {
		runs bool
		file string
	}{
		seal.Admission:  {p.parts.Admission, p.cfg.Keys.AdmissionFile},
		seal.Controller: {p.parts.Controllers, p.cfg.Keys.ControllerFile},
	} {
		if part.runs {
			options.Holds = append(options.Holds, purpose)
		}
		if part.runs && part.file != "" {
			options.Files[purpose] = part.file
		}
	}
	if p.keys, err = keyholder.New(options); err != nil {
		return fmt.Errorf("failed to hold the keys: %w", err)
	}
	p.cluster = string(system.UID)
	p.evidence = evidence.NewBook(p.cluster, keys{p.keys})
	if err := p.Manager.Add(p.keys); err != nil {
		return fmt.Errorf("failed to add the holder of the keys: %w", err)
	}
	if err := p.Manager.AddReadyzCheck("keys", func(*http.Request) error { return p.keysRead() }); err != nil {
		return fmt.Errorf("failed to add the readiness check of the keys: %w", err)
	}
	return nil
}

// keysRead says that the keys have not been read yet. Keys that are lost are no reason to serve nothing: whoever asks is told.
func (p *Process) keysRead() error {
	if err := p.keys.Ready(); keyholder.ReasonOf(err) == keyholder.NotReady {
		return err
	}
	return nil
}

// replica names this replica: the Pod, or else the host and the process.
func replica() string {
	if pod := os.Getenv("POD_NAME"); pod != "" {
		return pod
	}
	host, err := os.Hostname()
	if err != nil {
		host = "host"
	}
	plain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(host))
	return strings.Trim(plain, "-") + "-" + strconv.Itoa(os.Getpid())
}
