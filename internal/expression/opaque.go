package expression

import (
	"fmt"
	"reflect"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// opaque is the part of a value that CEL can only pass on.
type opaque struct{ of *types.Type }

// ConvertToNative implements ref.Val: there is no native form.
func (o opaque) ConvertToNative(to reflect.Type) (any, error) {
	return nil, fmt.Errorf("failed to convert %s to %v: it has no such form", o.of, to)
}

// ConvertToType implements ref.Val: there is no other type.
func (o opaque) ConvertToType(to ref.Type) ref.Val {
	if to.TypeName() == types.TypeType.TypeName() {
		return o.of
	}
	return types.NewErr("failed to convert %s to %s: it has no such form", o.of, to.TypeName())
}

// Equal implements ref.Val: there is nothing to compare.
func (o opaque) Equal(other ref.Val) ref.Val { return types.MaybeNoSuchOverloadErr(other) }

// Type implements ref.Val.
func (o opaque) Type() ref.Type { return o.of }

// Value implements ref.Val.
func (o opaque) Value() any { return nil }
