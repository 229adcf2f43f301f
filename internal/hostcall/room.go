package hostcall

// How many calls are made at once in one process, how many of them for the Actions of one namespace, and how many to one host. Calls of steps and
// those of lookups have each their own room: who asks does not keep out what was agreed.
const (
	AtOnce       = 64
	PerNamespace = 32
	PerHost      = 8
)

// Place is where a call counts. The zero value is that of a call that waits for nobody.
type Place struct{ Namespace, Host string }

// Room is how many calls are made. It is not safe for concurrent use.
type Room struct {
	all               int
	namespaces, hosts map[string]int
}

// NewRoom makes a room in which no call is made.
func NewRoom() *Room { return &Room{namespaces: map[string]int{}, hosts: map[string]int{}} }

// Enter makes room for a call, and tells whether there was any.
func (r *Room) Enter(p Place) bool {
	if p == (Place{}) {
		return true
	}
	if r.all >= AtOnce || r.namespaces[p.Namespace] >= PerNamespace || r.hosts[p.Host] >= PerHost {
		return false
	}
	r.all++
	r.namespaces[p.Namespace]++
	r.hosts[p.Host]++
	return true
}

// Leave gives the room of a call back.
func (r *Room) Leave(p Place) {
	if p == (Place{}) {
		return
	}
	r.all--
	less(r.namespaces, p.Namespace)
	less(r.hosts, p.Host)
}

// Empty tells whether no call is made.
func (r *Room) Empty() bool { return r.all == 0 && len(r.namespaces) == 0 && len(r.hosts) == 0 }

func less(counts map[string]int, name string) {
	if counts[name]--; counts[name] == 0 {
		delete(counts, name)
	}
}
