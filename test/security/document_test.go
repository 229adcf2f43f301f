package security

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// root is the folder of the repository.
const root = "../.."

// cases is how many cases the document has: those of the list, and their neighbours.
const cases = 85

var (
	ownTest   = regexp.MustCompile(`^TestCase([0-9]{2})[A-Z]`)
	ownNames  = regexp.MustCompile("`(TestCase[0-9]{2}\\w+)`")
	farNames  = regexp.MustCompile("`([a-z][a-z/]*)\\.((?:Test|Fuzz)\\w+)`")
	tableRows = regexp.MustCompile(`(?m)^\| ([0-9]+) \|(.*)\|$`)
)

// testsIn gives the names of the tests of a package.
func testsIn(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	files := token.NewFileSet()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && path != dir {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, declaration := range file.Decls {
			if function, ok := declaration.(*ast.FuncDecl); ok && function.Recv == nil && (strings.HasPrefix(function.Name.Name, "Test") || strings.HasPrefix(function.Name.Name, "Fuzz")) {
				names = append(names, function.Name.Name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestThreatModelNamesEveryTest compares docs/security/threat-model.md with the tests that there are: every case has a row with a test, every test here
// stands in the row of its number, and every test that is named exists.
func TestThreatModelNamesEveryTest(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "security", "threat-model.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[int]string{}
	for _, row := range tableRows.FindAllStringSubmatch(string(text), -1) {
		number, err := strconv.Atoi(row[1])
		if err != nil || rows[number] != "" {
			t.Errorf("case %s has two rows: %v", row[1], err)
		}
		rows[number] = row[2]
	}
	exist := testsIn(t, ".")
	for number := 1; number <= cases; number++ {
		if len(ownNames.FindAllString(rows[number], -1)) == 0 {
			t.Errorf("the row of case %d names no test: %q", number, rows[number])
		}
	}
	if len(rows) != cases {
		t.Errorf("there are %d rows, want %d", len(rows), cases)
	}
	for _, name := range exist {
		number := ownTest.FindStringSubmatch(name)
		if number == nil {
			if name != "TestThreatModelNamesEveryTest" && name != "TestMain" {
				t.Errorf("%s is the test of no case", name)
			}
			continue
		}
		if n, _ := strconv.Atoi(number[1]); !strings.Contains(rows[n], "`"+name+"`") {
			t.Errorf("the row of case %s does not name %s", number[1], name)
		}
	}
	for _, named := range ownNames.FindAllStringSubmatch(string(text), -1) {
		if !slices.Contains(exist, named[1]) {
			t.Errorf("there is no %s", named[1])
		}
	}
	for _, named := range farNames.FindAllStringSubmatch(string(text), -1) {
		if !slices.Contains(testsIn(t, filepath.Join(root, filepath.FromSlash(named[1]))), named[2]) {
			t.Errorf("there is no %s in %s", named[2], named[1])
		}
	}
}
