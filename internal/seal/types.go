package seal

import (
	"strconv"
	"strings"
	"time"
)

// MaxSkew is how far the clocks of the API server and of two replicas may be apart.
const MaxSkew = 60 * time.Second

// mediaType precedes the type of a payload in what is signed.
const mediaType = "application/vnd.signoff."

// Purpose is what a key may sign. Admission and execution have a key each, so that neither alone can forge and execute.
type Purpose string

const (
	// Admission is the purpose of the key that stands for what people did.
	Admission Purpose = "admission"
	// Controller is the purpose of the key that stands for what the operator did.
	Controller Purpose = "controller"
)

// Type names what a payload says, and the version of its form.
type Type string

const (
	// TypeRequest says who asked for what.
	TypeRequest Type = "request.v1"
	// TypeAdoption binds a request to the uid that the API server gave it.
	TypeAdoption Type = "adoption.v1"
	// TypeApproval says what is to be agreed to, by whom, and until when.
	TypeApproval Type = "approval.v1"
	// TypeVote says who decided what.
	TypeVote Type = "vote.v1"
	// TypeHead says how many votes there are, so that a removed one is missed.
	TypeHead Type = "head.v1"
	// TypeCancel says who cancelled a request.
	TypeCancel Type = "cancel.v1"
	// TypeDelegation says who lets whom vote.
	TypeDelegation Type = "delegation.v1"
	// TypeEdit says who changed an Action while requests for it were open.
	TypeEdit Type = "edit.v1"
	// TypeResolve says who decided what became of a request whose outcome nobody knows.
	TypeResolve Type = "resolve.v1"
	// TypeRecord says what was executed, and how it ended.
	TypeRecord Type = "record.v1"
	// TypeCanary says that admission was asked.
	TypeCanary Type = "canary.v1"
	// TypeCheckpoint says how long an audit log is, and what its last line is.
	TypeCheckpoint Type = "checkpoint.v1"
)

// kinds are all types of payload: what signs them, and how to make an empty one.
var kinds = map[Type]struct {
	signer Purpose
	empty  func() Payload
}{
	TypeRequest:    {Admission, func() Payload { return &Request{} }},
	TypeAdoption:   {Controller, func() Payload { return &Adoption{} }},
	TypeApproval:   {Controller, func() Payload { return &Approval{} }},
	TypeVote:       {Admission, func() Payload { return &Vote{} }},
	TypeHead:       {Controller, func() Payload { return &Head{} }},
	TypeCancel:     {Admission, func() Payload { return &Act{act: TypeCancel} }},
	TypeDelegation: {Admission, func() Payload { return &Act{act: TypeDelegation} }},
	TypeEdit:       {Admission, func() Payload { return &Act{act: TypeEdit} }},
	TypeResolve:    {Admission, func() Payload { return &Act{act: TypeResolve} }},
	TypeRecord:     {Controller, func() Payload { return &Record{} }},
	TypeCanary:     {Admission, func() Payload { return &Canary{} }},
	TypeCheckpoint: {Controller, func() Payload { return &Checkpoint{} }},
}

// Signer is the purpose of the key that must sign the type. It is empty for an unknown type.
func (t Type) Signer() Purpose { return kinds[t].signer }

// MediaType is how the type is written in what is signed.
func (t Type) MediaType() string { return mediaType + string(t) }

// version is the number at the end of the type. 0: there is none.
func (t Type) version() int {
	_, digits, _ := strings.Cut(string(t), ".v")
	version, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return version
}
