package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Notifier tells people and systems what happens to requests. It sees the requests of its own namespace; in the namespace of the operator it
// sees all. Nothing waits for it: what it cannot deliver changes no request.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=signoff,shortName=sgnotify
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Delivered",type=integer,JSONPath=`.status.delivered`
// +kubebuilder:printcolumn:name="Failed",type=integer,JSONPath=`.status.failed`
// +kubebuilder:printcolumn:name="Pending",type=integer,JSONPath=`.status.pending`
// +kubebuilder:printcolumn:name="Last Error",type=string,priority=1,JSONPath=`.status.lastError.message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Notifier struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of the object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what is told, to whom, and how.
	// +required
	Spec NotifierSpec `json:"spec"`

	// status is what was delivered. Only the operator writes it.
	// +optional
	// +default={"observedGeneration":-1}
	Status NotifierStatus `json:"status,omitzero"`
}

// NotifierSpec says what is told, to whom, and how.
type NotifierSpec struct {
	// serviceAccountName is the ServiceAccount in the same namespace as which Secrets are read. Needed where a channel names a Secret.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	ServiceAccountName string `json:"serviceAccountName,omitempty"`

	// channels are the ways by which something is told.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Channels []NotifierChannel `json:"channels"`

	// routes say what is told by which channel. Each that fits is taken; what several of them tell by one channel is told once.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Routes []NotifierRoute `json:"routes"`
}

// NotifierChannel is a way by which something is told: exactly one of slack, teams, email, cloudEvents and webhook is set. The configuration of
// Signoff must allow its host in egress.
// +kubebuilder:validation:ExactlyOneOf=slack;teams;email;cloudEvents;webhook
type NotifierChannel struct {
	// name is how routes name it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// slack is an incoming webhook of Slack, or of what speaks as it does.
	// +optional
	Slack *ChatChannel `json:"slack,omitempty"`

	// teams is a workflow of Microsoft Teams that starts with a webhook.
	// +optional
	Teams *ChatChannel `json:"teams,omitempty"`

	// email sends by SMTP.
	// +optional
	Email *EmailChannel `json:"email,omitempty"`

	// cloudEvents sends a CloudEvent 1.0 over HTTP, as JSON.
	// +optional
	CloudEvents *HTTPChannel `json:"cloudEvents,omitempty"`

	// webhook sends a body of your own over HTTP.
	// +optional
	Webhook *WebhookChannel `json:"webhook,omitempty"`
}

// ChatChannel is a webhook whose address is its secret.
type ChatChannel struct {
	// urlSecret is where its address is kept. The Secret must say that it may be sent to the host of that address.
	// +required
	URLSecret SecretKey `json:"urlSecret"`

	// caBundle holds the authorities, as PEM, that sign the certificate of the host. Unset: those of the system.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	CABundle string `json:"caBundle,omitempty"`
}

// HTTPChannel is a host that is called by POST: exactly one of url and urlSecret is set. The call carries the header Idempotency-Key, which is the
// same however often it is tried.
// +kubebuilder:validation:ExactlyOneOf=url;urlSecret
type HTTPChannel struct {
	// url is where. It holds no templates. Unset: where urlSecret says.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[a-z0-9\[]`
	URL string `json:"url,omitempty"`

	// urlSecret is where its address is kept, for hosts whose address is the secret. The Secret must say that it may be sent to the host of that
	// address. Unset: url says it.
	// +optional
	URLSecret *SecretKey `json:"urlSecret,omitempty"`

	// headers are sent too; their values hold no templates. Unset: none.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Headers []HTTPHeader `json:"headers,omitempty"`

	// sign signs the call as Standard Webhooks demand, with a key from a Secret. Unset: it is not signed.
	// +optional
	Sign *SecretKey `json:"sign,omitempty"`

	// caBundle holds the authorities, as PEM, that sign the certificate of the host. Unset: those of the system.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	CABundle string `json:"caBundle,omitempty"`
}

// WebhookChannel sends a body of your own.
// +kubebuilder:validation:ExactlyOneOf=url;urlSecret
type WebhookChannel struct {
	HTTPChannel `json:",inline"`

	// body is sent as contentType says; its strings may be ${…} templates, as in message of a route.
	// +required
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	Body runtime.RawExtension `json:"body"`

	// bodySecrets put what is in Secrets into body when it is sent, for receivers that want a key there. Nothing else ever holds the result. Unset:
	// nothing.
	// +optional
	// +listType=map
	// +listMapKey=field
	// +kubebuilder:validation:MaxItems=8
	BodySecrets []BodySecret `json:"bodySecrets,omitempty"`

	// contentType says how body is written. Defaults to JSON.
	// +optional
	// +default="JSON"
	ContentType BodyType `json:"contentType,omitempty"`
}

// BodySecret puts what is in a Secret into a body.
type BodySecret struct {
	// field is the member of the body, at its top, that holds it. The body itself must not have it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z_][A-Za-z0-9_.-]*$`
	Field string `json:"field"`

	// secret is where it is kept. The Secret must say that it may be sent to the host.
	// +required
	Secret SecretKey `json:"secret"`
}

// BodyType says how a body is written.
// +kubebuilder:validation:Enum=JSON;Form
type BodyType string

const (
	// BodyJSON writes a body as JSON.
	BodyJSON BodyType = "JSON"
	// BodyForm writes a body as the form of a web page: its texts as they are, and what else it has as JSON.
	BodyForm BodyType = "Form"
)

// MailSecurity says how a mail server is spoken to.
// +kubebuilder:validation:Enum=StartTLS;TLS;None
type MailSecurity string

const (
	// MailStartTLS turns TLS on before anything is said. A server that cannot is not used.
	MailStartTLS MailSecurity = "StartTLS"
	// MailTLS speaks TLS from the beginning.
	MailTLS MailSecurity = "TLS"
	// MailPlain speaks without TLS. The configuration must allow that for the host.
	MailPlain MailSecurity = "None"
)

// EmailChannel sends by SMTP.
// +kubebuilder:validation:XValidation:rule="has(self.username) == has(self.passwordSecret)",message="username and passwordSecret belong together"
type EmailChannel struct {
	// host is the mail server.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.:]*[a-z0-9])?$`
	Host string `json:"host"`

	// port is where it listens. Defaults to 587.
	// +optional
	// +default=587
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`

	// security says how it is spoken to. Defaults to StartTLS.
	// +optional
	// +default="StartTLS"
	Security MailSecurity `json:"security,omitempty"`

	// from is the address of the sender.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=320
	// +kubebuilder:validation:Pattern=`^[^@\s]+@[^@\s]+$`
	From string `json:"from"`

	// to are addresses that get everything that goes by this channel, also what goes to recipients. Unset: only recipients of routes do.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=320
	// +kubebuilder:validation:items:Pattern=`^[^@\s]+@[^@\s]+$`
	To []string `json:"to,omitempty"`

	// address makes the address of a person of recipient.username, as a ${…} template. Who gets an empty one is not written to. Unset: it is
	// the user name, where that has an @.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Address string `json:"address,omitempty"`

	// username is the login at the mail server. Unset: none is used.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=320
	Username string `json:"username,omitempty"`

	// passwordSecret is where the password is kept.
	// +optional
	PasswordSecret *SecretKey `json:"passwordSecret,omitempty"`

	// caBundle holds the authorities, as PEM, that sign the certificate of the mail server. Unset: those of the system.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	CABundle string `json:"caBundle,omitempty"`
}

// NotifierRoute says what is told by which channels.
type NotifierRoute struct {
	// events are what is told.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Events []NotificationEvent `json:"events"`

	// actions are the Actions that it is about. Unset: all.
	// +optional
	Actions *NotifierActions `json:"actions,omitempty"`

	// stages are names of stages: events about another stage are not told, and such about none are. Unset: all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Stages []string `json:"stages,omitempty"`

	// to are the channels, and who is written to by them.
	// +required
	// +listType=map
	// +listMapKey=channel
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	To []NotifierTarget `json:"to"`

	// message replaces the text. Unset: Signoff writes it.
	// +optional
	Message *NotifierMessage `json:"message,omitempty"`
}

// NotifierActions selects Actions: everything that is set must fit.
// +kubebuilder:validation:XValidation:rule="has(self.namespaces) || has(self.names) || has(self.selector)",message="actions is empty: it needs namespaces, names or selector"
type NotifierActions struct {
	// namespaces are the namespaces of Actions. Unset: all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Namespaces []string `json:"namespaces,omitempty"`

	// names are names of Actions. Unset: all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Names []string `json:"names,omitempty"`

	// selector selects Actions by their labels. Unset: all.
	// +optional
	Selector *LabelSelector `json:"selector,omitempty"`
}

// NotifierTarget is a channel, and who is written to by it.
type NotifierTarget struct {
	// channel is the name of a channel.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Channel string `json:"channel"`

	// recipients are people who are written to one by one, with channels of e-mail, webhook and cloudEvents, at most 100 for one event. A body knows
	// each as recipient.username. The addresses in to of a channel of e-mail get it too. Unset: only they do, or there is one call.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	Recipients []NotificationRecipient `json:"recipients,omitempty"`
}

// NotificationRecipient says which people are written to.
// +kubebuilder:validation:Enum=Requester;Approvers
type NotificationRecipient string

const (
	// RecipientRequester is who asked.
	RecipientRequester NotificationRecipient = "Requester"
	// RecipientApprovers are those whom the stage names, as far as they are known by name or their Team has an address. Of an Approval that is
	// closed, those of whom no vote stands on it. Of what is about no stage, those of all stages that were opened; nobody is yet when it is Requested.
	RecipientApprovers NotificationRecipient = "Approvers"
)

// NotifierMessage is a text. Its ${…} templates read event (type, id, time, title, text, command, stage, approval, state), request, requester,
// action (namespace, name, labels), inputs and recipient. They know nothing that is in a Secret.
type NotifierMessage struct {
	// title is one line. Unset: event.title.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Title string `json:"title,omitempty"`

	// text is the rest. Unset: event.text, and the command by which to act.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=8192
	Text string `json:"text,omitempty"`
}

// NotificationEvent is something that can be told.
// +kubebuilder:validation:Enum=Requested;ApprovalNeeded;ApprovalNeededAgain;ApprovalReminder;ApprovalEscalated;Voted;ApprovalClosed;Approved;Unsatisfiable;Held;Executing;OutcomeUnknown;Resolved;Active;Reverting;Succeeded;Failed;Denied;Expired;Cancelled;Reverted;ReviewNeeded;ReviewOverdue;ReviewClosed
type NotificationEvent string

const (
	// EventRequested says that somebody asked.
	EventRequested NotificationEvent = "Requested"
	// EventApprovalNeeded says that people must agree in a stage.
	EventApprovalNeeded NotificationEvent = "ApprovalNeeded"
	// EventApprovalNeededAgain says that people must agree in a stage once more, because what is to be executed has changed, or because an earlier
	// approval no longer counts. It comes beside ApprovalNeeded.
	EventApprovalNeededAgain NotificationEvent = "ApprovalNeededAgain"
	// EventApprovalReminder says that they still must.
	EventApprovalReminder NotificationEvent = "ApprovalReminder"
	// EventApprovalEscalated says that further people may agree.
	EventApprovalEscalated NotificationEvent = "ApprovalEscalated"
	// EventVoted says that somebody voted.
	EventVoted NotificationEvent = "Voted"
	// EventApprovalClosed says that a stage is decided, or is not to be decided any more. Who was asked and did not vote learns it by this.
	EventApprovalClosed NotificationEvent = "ApprovalClosed"
	// EventApproved says that everybody who must agree has agreed, in all stages. What needed no approval is not approved.
	EventApproved NotificationEvent = "Approved"
	// EventUnsatisfiable says that fewer people are able to agree than must.
	EventUnsatisfiable NotificationEvent = "Unsatisfiable"
	// EventHeld says that something delays the start.
	EventHeld NotificationEvent = "Held"
	// EventExecuting says that the first step begins.
	EventExecuting NotificationEvent = "Executing"
	// EventOutcomeUnknown says that nobody knows whether a step was done, and that somebody who holds the verb resolve must decide.
	EventOutcomeUnknown NotificationEvent = "OutcomeUnknown"
	// EventResolved says that somebody decided how a step ended of which nobody knew it.
	EventResolved NotificationEvent = "Resolved"
	// EventActive says that all steps of a temporary request are done.
	EventActive NotificationEvent = "Active"
	// EventReverting says that what was done is being taken back, or that this does not succeed yet.
	EventReverting NotificationEvent = "Reverting"
	// EventSucceeded says that all steps are done.
	EventSucceeded NotificationEvent = "Succeeded"
	// EventFailed says that a step failed.
	EventFailed NotificationEvent = "Failed"
	// EventDenied says that an approver said no.
	EventDenied NotificationEvent = "Denied"
	// EventExpired says that time ran out.
	EventExpired NotificationEvent = "Expired"
	// EventCancelled says that somebody cancelled.
	EventCancelled NotificationEvent = "Cancelled"
	// EventReverted says that what was done is gone.
	EventReverted NotificationEvent = "Reverted"
	// EventReviewNeeded says that what was done in an emergency must be reviewed.
	EventReviewNeeded NotificationEvent = "ReviewNeeded"
	// EventReviewOverdue says that nobody reviewed it in time.
	EventReviewOverdue NotificationEvent = "ReviewOverdue"
	// EventReviewClosed says that it was reviewed.
	EventReviewClosed NotificationEvent = "ReviewClosed"
)

// NotifierStatus is what was delivered.
type NotifierStatus struct {
	// observedGeneration is the generation that this status speaks of. -1: not seen yet.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// delivered is how many messages were delivered so far.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Delivered int64 `json:"delivered"`

	// failed is how many were given up, or dropped because too many waited.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Failed int64 `json:"failed"`

	// pending is how many wait to be delivered, or to be tried again.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Pending int32 `json:"pending"`

	// deliveredThrough says that everything which happened before is delivered or given up. Unset: nothing was told yet.
	// +optional
	DeliveredThrough *metav1.Time `json:"deliveredThrough,omitempty"`

	// lastDelivery is when the last message was delivered.
	// +optional
	LastDelivery *metav1.Time `json:"lastDelivery,omitempty"`

	// lastError is what went wrong last. It stays until something is delivered by the same channel.
	// +optional
	LastError *NotifierError `json:"lastError,omitempty"`

	// deliveries are the newest messages, those first that changed last.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Deliveries []NotifierDelivery `json:"deliveries,omitempty"`

	// conditions are the observed conditions. Ready is True where the Notifier compiles, and the configuration of Signoff allows the hosts that it names.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// NotifierError is something that went wrong.
type NotifierError struct {
	// channel is where.
	// +required
	// +kubebuilder:validation:MaxLength=63
	Channel string `json:"channel"`

	// at is when.
	// +required
	At metav1.Time `json:"at"`

	// message says what. Nothing of a Secret is in it.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message"`
}

// DeliveryState is what became of a message.
// +kubebuilder:validation:Enum=Delivered;Retrying;Failed
type DeliveryState string

const (
	// DeliveryDelivered means that the receiver took it.
	DeliveryDelivered DeliveryState = "Delivered"
	// DeliveryRetrying means that it is tried again.
	DeliveryRetrying DeliveryState = "Retrying"
	// DeliveryFailed means that it was given up.
	DeliveryFailed DeliveryState = "Failed"
)

// NotifierDelivery is one message.
type NotifierDelivery struct {
	// id names the event. It is the same however often the message is sent.
	// +required
	// +kubebuilder:validation:MaxLength=64
	ID string `json:"id"`

	// event is what happened.
	// +required
	Event NotificationEvent `json:"event"`

	// request is the request, as namespace/name.
	// +required
	// +kubebuilder:validation:MaxLength=320
	Request string `json:"request"`

	// channel is how it is told.
	// +required
	// +kubebuilder:validation:MaxLength=63
	Channel string `json:"channel"`

	// recipient is the person who is told, or mailto: and an address. Unset: the channel itself.
	// +optional
	// +kubebuilder:validation:MaxLength=320
	Recipient string `json:"recipient,omitempty"`

	// state is what became of it.
	// +required
	State DeliveryState `json:"state"`

	// attempts is how many times it was tried.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Attempts int32 `json:"attempts,omitempty"`

	// at is when that was so.
	// +required
	At metav1.Time `json:"at"`

	// message says what went wrong. Unset: nothing.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}

// NotifierList is a list of Notifiers.
// +kubebuilder:object:root=true
type NotifierList struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of the list.
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`

	// items are the Notifiers.
	// +required
	Items []Notifier `json:"items"`
}
