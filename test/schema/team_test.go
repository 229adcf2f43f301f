package schema

import "testing"

func TestTeam(t *testing.T) { run(t, "team", teamCases()) }

func teamCases() map[string]schemaCase {
	return map[string]schemaCase{
		"Full": {reason: "every property together is a good Team"},
		"Empty": {
			reason: "a Team may exist only to hold the Teams below it",
			change: "spec: {parent: null, members: null, leads: null, contact: null}",
		},
		"NoSpec":       {reason: "a Team without spec says nothing", change: "spec: null", want: "spec: Required value"},
		"MemberTeams":  {reason: "a Team below names its parent, never the other way round", change: "spec: {members: {teams: [a]}}", want: "members.teams is not allowed"},
		"NoMemberTeam": {reason: "an empty list is a list too", change: "spec: {members: {teams: []}}", want: "members.teams is not allowed"},
		"LeadTeams":    {reason: "leads are people", change: "spec: {leads: {teams: [a]}}", want: "leads.teams is not allowed"},
		"NoMembers":    {reason: "an empty selector is refused", change: "spec: {members: {users: [], groups: null, serviceAccounts: null}}", want: "names nobody"},
		"EmptyMembers": {reason: "an empty selector is refused", change: "spec: {members: {users: null, groups: null, serviceAccounts: null}}", want: "spec.members: Invalid value: 0: spec.members in body should have at least 1 properties"},
		"NotAnEmail":   {reason: "mail must be deliverable", change: "spec: {contact: {email: bob}}", want: "spec.contact.email: Invalid value"},
		"EmptyUser":    {reason: "nobody is called nothing", change: "spec: {members: {users: ['']}}", want: "spec.members.users[0]: Invalid value"},
		"UserTwice":    {reason: "one name, one entry", change: "spec: {members: {users: [a, a]}}", want: "spec.members.users[1]: Duplicate value"},
		"AccountAsUser": {
			reason: "there is one spelling for a ServiceAccount",
			change: "spec: {members: {users: ['system:serviceaccount:ci:agent']}}",
			want:   "a ServiceAccount belongs in serviceAccounts, as namespace/name",
		},
		"AccountWithoutNamespace": {
			reason: "a ServiceAccount without its namespace is nobody's",
			change: "spec: {members: {serviceAccounts: [agent]}}",
			want:   "spec.members.serviceAccounts[0]: Invalid value",
		},
	}
}
