package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Calendar names windows of time, such as business hours or a freeze. An Action uses the Calendars of its own namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=signoff,shortName=sgcal
// +kubebuilder:printcolumn:name="Zone",type=string,JSONPath=`.spec.timeZone`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Calendar struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of the object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is when the Calendar is open.
	// +required
	Spec CalendarSpec `json:"spec"`

	// status is what the operator found out about the Calendar.
	// +optional
	// +default={"observedGeneration":-1}
	Status CalendarStatus `json:"status,omitzero"`
}

// CalendarSpec says when a Calendar is open: inside any of windows and inside none of except.
type CalendarSpec struct {
	// timeZone is an IANA time zone such as "Europe/London", for every window that names none itself.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9+_-]+(/[A-Za-z0-9+_-]+){0,2}$`
	// +kubebuilder:validation:XValidation:rule="self != 'Local'",message="Local is not a place: name a zone such as Europe/London, or UTC"
	TimeZone string `json:"timeZone"`

	// windows are the times at which the Calendar is open.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Windows []Window `json:"windows"`

	// except are times at which the Calendar is closed all the same. Unset: none.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Except []Window `json:"except,omitempty"`
}

// Window is a time span, recurring or not: exactly one of weekly and dates is set.
// +kubebuilder:validation:ExactlyOneOf=weekly;dates
type Window struct {
	// weekly recurs every week.
	// +optional
	Weekly *WeeklyWindow `json:"weekly,omitempty"`

	// dates is a range of days.
	// +optional
	Dates *DatesWindow `json:"dates,omitempty"`

	// timeZone is an IANA time zone for this window. Unset: that of the Calendar.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9+_-]+(/[A-Za-z0-9+_-]+){0,2}$`
	// +kubebuilder:validation:XValidation:rule="self != 'Local'",message="Local is not a place: name a zone such as Europe/London, or UTC"
	TimeZone string `json:"timeZone,omitempty"`
}

// Weekday is a day of the week.
// +kubebuilder:validation:Enum=Mon;Tue;Wed;Thu;Fri;Sat;Sun
type Weekday string

const (
	// Monday is the first day of the week.
	Monday Weekday = "Mon"
	// Tuesday is the second day of the week.
	Tuesday Weekday = "Tue"
	// Wednesday is the third day of the week.
	Wednesday Weekday = "Wed"
	// Thursday is the fourth day of the week.
	Thursday Weekday = "Thu"
	// Friday is the fifth day of the week.
	Friday Weekday = "Fri"
	// Saturday is the sixth day of the week.
	Saturday Weekday = "Sat"
	// Sunday is the seventh day of the week.
	Sunday Weekday = "Sun"
)

// WeeklyWindow recurs every week. Where to is not after from, the window ends on the next day.
type WeeklyWindow struct {
	// days are the days on which the window begins.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=7
	Days []Weekday `json:"days"`

	// from is the local time at which the window begins, as "HH:MM". Unset: 00:00.
	// +optional
	// +kubebuilder:validation:Pattern=`^([01][0-9]|2[0-3]):[0-5][0-9]$`
	// +kubebuilder:validation:MaxLength=5
	From string `json:"from,omitempty"`

	// to is the local time at which the window ends, that minute excluded, as "HH:MM", up to "24:00". Unset: 24:00.
	// +optional
	// +kubebuilder:validation:Pattern=`^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$`
	// +kubebuilder:validation:MaxLength=5
	To string `json:"to,omitempty"`
}

// DatesWindow is a range of days, the first and the last included.
// +kubebuilder:validation:XValidation:rule="self.from <= self.through",message="through is before from"
type DatesWindow struct {
	// from is the first day, as "YYYY-MM-DD".
	// +required
	// +kubebuilder:validation:Pattern=`^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$`
	// +kubebuilder:validation:MaxLength=10
	// +kubebuilder:validation:Format=date
	From string `json:"from"`

	// through is the last day, included, as "YYYY-MM-DD".
	// +required
	// +kubebuilder:validation:Pattern=`^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$`
	// +kubebuilder:validation:MaxLength=10
	// +kubebuilder:validation:Format=date
	Through string `json:"through"`
}

// CalendarStatus is what the operator found out about a Calendar.
type CalendarStatus struct {
	// observedGeneration is the generation that this status speaks of. -1: not seen yet.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are the observed conditions. Ready is True where the Calendar can be used.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// CalendarList is a list of Calendars.
// +kubebuilder:object:root=true
type CalendarList struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of the list.
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`

	// items are the Calendars.
	// +required
	Items []Calendar `json:"items"`
}
