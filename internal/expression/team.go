package expression

import (
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	apiservercel "k8s.io/apiserver/pkg/cel"
)

const (
	fnTeam       = "team"
	idTeam       = "signoff_team"
	idTeamLookUp = "signoff_team_lookup"

	// teamCost is what finding a Team costs. It may have to be put together first.
	teamCost uint64 = 50
)

var teamsType = cel.OpaqueType(teamsTypeName)

// teamType is a Team: its name, its parent ("" where it has none), the names of all Teams above, the users that lead it, the users that it
// or a Team below names, and the groups whose members count as its members.
func teamType() *apiservercel.DeclType {
	return object(teamTypeName, map[string]*apiservercel.DeclType{
		"name": text(maxName), "parent": text(maxName), "ancestors": textList(maxTeams, maxName),
		"leads": textList(maxGroups, maxLogin), "members": textList(maxMembers, maxLogin), "groups": textList(maxMembers, maxLogin),
	})
}

// teamFunctions declare team(name). As with calendar(name), the compiler puts the Teams of the evaluation in as a hidden first argument.
func teamFunctions() []cel.EnvOption {
	team := cel.ObjectType(teamTypeName)
	return []cel.EnvOption{cel.Function(fnTeam,
		cel.Overload(idTeam, []*cel.Type{cel.StringType}, team),
		cel.Overload(idTeamLookUp, []*cel.Type{teamsType, cel.StringType}, team, cel.BinaryBinding(findTeam)))}
}

// teamsVal is the value of the hidden variable: the Teams of one evaluation.
type teamsVal struct {
	opaque
	teams Teams
}

func findTeam(of, name ref.Val) ref.Val {
	all, ok := of.(*teamsVal)
	key, isText := name.(types.String)
	if !ok || !isText {
		return types.MaybeNoSuchOverloadErr(name)
	}
	if all.teams == nil {
		return types.NewErr("there is no Team %q", short(string(key)))
	}
	found, err := all.teams.Team(string(key))
	if err != nil {
		return types.WrapErr(err)
	}
	return types.DefaultTypeAdapter.NativeToValue(found)
}

// isTeam reports whether an overload finds a Team.
func isTeam(overload string) bool { return overload == idTeam || overload == idTeamLookUp }

// ownCost is what a call of a function of ours costs; zero where it is none of ours, or free.
func ownCost(overload string) uint64 {
	switch {
	case isCalendarQuestion(overload):
		return calendarCost
	case isTeam(overload):
		return teamCost
	}
	return 0
}

func (r *rewriter) addTeams(e, name ast.Expr) {
	if literal, ok := literalText(name); ok {
		r.teams = append(r.teams, literal)
	}
	r.hide(e, name, hiddenArgument{varTeams, teamsType, fnTeam, idTeamLookUp})
}
