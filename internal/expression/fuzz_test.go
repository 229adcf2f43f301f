package expression

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"
)

// FuzzCompileAndEval: nothing that somebody writes makes the compiler or an evaluation panic, hang or leave the known kinds of
// errors, and every result is JSON.
func FuzzCompileAndEval(f *testing.F) {
	for _, seed := range []string{
		"inputs.environment == 'production' || !calendar('open').contains(now)", "inputs.parts.map(p, p.?since)",
		"target.metadata.labels[?'tier'].orValue('x')", "{'a': [1, 2], 'b': [inputs.replicas]}", "'%s'.format([dyn(requester)])",
		"[1, 2].transformMap(i, v, v)", "calendar('soon').next(now) - now", "object.a.b.c.all(x, x > 1)", "type(inputs)",
		"inputs.ratio / 0.0", "duration('1h') + now", "lists.range(1000000).map(x, x * x)", "quantity('1e999999999')",
		"'a'.replace('', 'bbbb').replace('', 'cccc').split('')", "r'}' + \"\"\"{\"\"\"", "user.extra.all(k, v, v.size() < 3)",
		"has(inputs.x) ? 1 : 'a'", "optional.none()", "b'\\xff'", "cel.bind(x, 1, x)", "signoff.Inputs{}", "google.protobuf.Struct{}",
		"inputs.__dash__", "inputs.?__namespace__", "-9223372036854775808 / -1", "dyn(calendar('open')).contains(now)",
	} {
		for place := ActionRule; place <= Person; place++ {
			f.Add(int(place), seed)
		}
	}
	var compilers [Person + 1]*Compiler
	for place := ActionRule; place <= Person; place++ {
		compilers[place] = newCompiler(f, place)
	}
	f.Fuzz(func(t *testing.T, place int, source string) {
		if place < 0 || place > int(Person) {
			return
		}
		p, err := compilers[place].Any(source)
		if err != nil {
			if compile := (*CompileError)(nil); !errors.As(err, &compile) || compile.Line < 1 || compile.Column < 1 {
				t.Fatalf("compiling %q: %v is no proper compile error", source, err)
			}
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		got, err := p.EvalAny(ctx, exampleVars(), NewBudgetOf(100_000))
		if err != nil {
			if eval := (*EvalError)(nil); !errors.As(err, &eval) {
				t.Fatalf("evaluating %q: %v is no evaluation error", source, err)
			}
			return
		}
		if _, err := json.Marshal(got); err != nil {
			t.Fatalf("evaluating %q gave %#v, which is no JSON: %v", source, got, err)
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	c := newCompiler(t, ActionRule)
	shared, err := c.Bool("inputs.environment == 'production' || calendar('open').contains(now)")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				vars := exampleVars()
				if got, err := shared.EvalBool(context.Background(), vars, nil); err != nil || !got {
					t.Errorf("got %v, %v", got, err)
				}
				if vars.Trace.NextChange != calendars["open"].to {
					t.Errorf("the trace of another evaluation: %v", vars.Trace.NextChange)
				}
				if _, err := c.Bool("inputs.replicas > 2 && target.spec.all(x, true)"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
