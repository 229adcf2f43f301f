package expression

import (
	"github.com/google/cel-go/cel"
	apiservercel "k8s.io/apiserver/pkg/cel"
)

// Bounds of the API types (api/v1alpha1), repeated for the estimate of costs.
const (
	maxName      = 253
	maxLogin     = 1024
	maxReason    = 4096
	maxGroups    = 1000
	maxExtraKeys = 16
	maxExtraList = 64
	maxTeams     = 4096
	maxRoles     = 4096
	maxMembers   = 65536
	maxMetadata  = 256 * 1024
	maxObjects   = 64
)

// Names of the types in error messages of the type checker.
const (
	inputsTypeName      = "signoff.Inputs"
	requestTypeName     = "signoff.Request"
	userTypeName        = "signoff.User"
	namedPersonTypeName = "signoff.PersonInTemplate"
	calendarTypeName    = "signoff.Calendar"
	clockTypeName       = "signoff.Clock"
	calendarsTypeName   = "signoff.Calendars"
	teamTypeName        = "signoff.Team"
	teamsTypeName       = "signoff.Teams"
)

func text(maxLength int64) *apiservercel.DeclType {
	t := apiservercel.NewSimpleTypeWithMinSize("string", cel.StringType, nil, apiservercel.MinStringSize)
	t.MaxElements = 4 * maxLength
	return t
}

func textList(maxItems, maxLength int64) *apiservercel.DeclType {
	return apiservercel.NewListType(text(maxLength), maxItems)
}

func textMap() *apiservercel.DeclType {
	return apiservercel.NewMapType(text(maxName), text(maxMetadata), maxMetadata/2)
}

func object(name string, fields map[string]*apiservercel.DeclType) *apiservercel.DeclType {
	decls := make(map[string]*apiservercel.DeclField, len(fields))
	for name, t := range fields {
		escaped, _ := apiservercel.Escape(name)
		decls[escaped] = apiservercel.NewDeclField(escaped, t, true, nil, nil)
	}
	return apiservercel.NewObjectType(name, decls)
}

// requestType is the ActionRequest that is judged. action is the Action as "namespace/name".
func requestType() *apiservercel.DeclType {
	return object(requestTypeName, map[string]*apiservercel.DeclType{
		"name": text(maxName), "namespace": text(maxName), "uid": text(maxName), "reason": text(maxReason),
		"action": text(2 * maxName), "createdAt": apiservercel.TimestampType, "duration": apiservercel.DurationType,
	})
}

// loginFields are what the API server knows of a login.
func loginFields() map[string]*apiservercel.DeclType {
	return map[string]*apiservercel.DeclType{
		"username": text(maxLogin), "uid": text(maxLogin), "groups": textList(maxGroups, maxLogin),
		"extra": apiservercel.NewMapType(text(maxLogin), textList(maxExtraList, maxLogin), maxExtraKeys),
	}
}

// personType is somebody who asks or acts. teams are the Teams that they belong to, those above included; leads the Teams that they lead;
// roles the Roles beside the Action that they are a member of, those that these inherit included.
func personType() *apiservercel.DeclType {
	fields := loginFields()
	fields["person"], fields["teams"] = text(maxLogin), textList(maxTeams, maxName)
	fields["roles"], fields["leads"] = textList(maxRoles, maxName), textList(maxTeams, maxName)
	fields["isServiceAccount"], fields["isAgent"] = apiservercel.BoolType, apiservercel.BoolType
	return object("signoff.Person", fields)
}

// namedPersonType is somebody in a template. Groups change from login to login, and what is rendered must not.
func namedPersonType() *apiservercel.DeclType {
	return object(namedPersonTypeName, map[string]*apiservercel.DeclType{
		"username": text(maxLogin), "uid": text(maxLogin), "person": text(maxLogin),
	})
}

func metadataFields() map[string]*apiservercel.DeclType {
	return map[string]*apiservercel.DeclType{"name": text(maxName), "labels": textMap(), "annotations": textMap()}
}

// namespaceType is the namespace of the target.
func namespaceType() *apiservercel.DeclType {
	return object("signoff.Namespace", map[string]*apiservercel.DeclType{
		"metadata": object("signoff.NamespaceMetadata", metadataFields()),
	})
}

// actionType is the Action that a policy judges.
func actionType() *apiservercel.DeclType {
	return object("signoff.Action", map[string]*apiservercel.DeclType{
		"namespace": text(maxName), "name": text(maxName), "labels": textMap(),
	})
}

// plannedType is an object that the request would write.
func plannedType() *apiservercel.DeclType {
	return object("signoff.Object", map[string]*apiservercel.DeclType{
		"apiVersion": text(maxName), "group": text(maxName), "kind": text(maxName), "namespace": text(maxName), "name": text(maxName),
		"operation": text(maxName), "labels": textMap(), "namespaceObject": namespaceType(),
	})
}

// objectsType are all of them.
func objectsType() *apiservercel.DeclType { return apiservercel.NewListType(plannedType(), maxObjects) }

// jobType is how a Job ended. message is what its container wrote to its termination message, log the end of its log as far as the step keeps it.
func jobType() *apiservercel.DeclType {
	return object("signoff.Job", map[string]*apiservercel.DeclType{
		"exitCode": apiservercel.IntType, "message": text(maxReason), "log": text(maxReason),
	})
}

// responseType is an answer of a host. headers are in lower case; body is what the JSON says, or else text.
func responseType() *apiservercel.DeclType {
	return object("signoff.Response", map[string]*apiservercel.DeclType{
		"status": apiservercel.IntType, "headers": textMap(), "body": apiservercel.DynType,
	})
}

// toldEventType is something that a Notifier tells. time is in RFC 3339.
func toldEventType() *apiservercel.DeclType {
	return object("signoff.Event", map[string]*apiservercel.DeclType{
		"type": text(maxName), "id": text(maxName), "time": text(maxName), "title": text(maxReason), "text": text(maxMetadata), "command": text(maxReason),
		"stage": text(maxName), "approval": text(maxName), "digest": text(maxName), "state": text(maxName),
	})
}

// toldRequestType is the request that it is about, as it is when it is told.
func toldRequestType() *apiservercel.DeclType {
	return object("signoff.ToldRequest", map[string]*apiservercel.DeclType{
		"namespace": text(maxName), "name": text(maxName), "uid": text(maxName), "action": text(2 * maxName), "reason": text(maxReason),
		"phase": text(maxName), "outcome": text(maxName), "onBehalfOf": text(maxLogin),
	})
}

// recipientType is the person who is told. username is empty where it is a channel or an address.
func recipientType() *apiservercel.DeclType {
	return object("signoff.Recipient", map[string]*apiservercel.DeclType{"username": text(maxLogin)})
}
