package schedule

import (
	"errors"
	"fmt"
	"regexp"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"kilonova/internal/fault"
)

// CELFilter keeps the hosts for which an expression holds.
type CELFilter struct {
	// Name stands in explanations, where a built-in filter has its own.
	Name string `toml:"name"`
	// Expression yields a truth: "host.free_ram_mb > 2 * flavor.ram". What it may
	// speak of is in celFacts.
	Expression string `toml:"expression"`
}

// CELWeigher orders hosts by an expression; more is better.
type CELWeigher struct {
	Name string `toml:"name"`
	// Expression yields a number.
	Expression string `toml:"expression"`
	// Multiplier is what the weight, brought to [0, 1], is multiplied by; nil
	// stands for 1. Aggregates may override it with NAME_weight_multiplier.
	Multiplier *float64 `toml:"multiplier"`
}

// Bounds of expressions. They come from the operator, but are evaluated for every
// host of every decision.
const (
	maxCELBytes = 4096
	maxCELCount = 32
	// maxCELCost is what evaluating an expression for one host may cost, in CEL's
	// units: about one for each operator and each element that is looked at.
	maxCELCost = 5000
)

var celName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,63}$`)

// compileOwn adds the filters and weighers of the operator's own.
func (s *Scheduler) compileOwn() error {
	f := &s.options.Filter
	if n := len(f.CELFilters) + len(f.CELWeighers); n == 0 {
		return nil
	} else if n > maxCELCount {
		return fault.Invalidf("[filter_scheduler] has %d entries in cel_filters and cel_weighers; the limit is %d.", n, maxCELCount)
	}
	env, err := celEnvironment()
	if err != nil {
		return err
	}
	taken := map[string]bool{}
	for _, w := range weigherTable {
		taken[w.name] = true
	}
	for i, x := range f.CELFilters {
		where := fmt.Sprintf("cel_filters[%d]", i)
		program, err := compileCEL(env, where, x.Name, x.Expression, taken, cel.BoolType)
		if err != nil {
			return err
		}
		s.filters = append(s.filters, namedFilter{x.Name, celFilter(x.Name, program)})
	}
	for i, x := range f.CELWeighers {
		where := fmt.Sprintf("cel_weighers[%d]", i)
		program, err := compileCEL(env, where, x.Name, x.Expression, taken, cel.IntType, cel.UintType, cel.DoubleType)
		if err != nil {
			return err
		}
		multiplier := 1.0
		if x.Multiplier != nil {
			multiplier = *x.Multiplier
		}
		if !finite(multiplier) {
			return fault.Invalidf("[filter_scheduler] %s (%s): the multiplier is no number.", where, x.Name)
		}
		s.weighers = append(s.weighers, celWeigher(x.Name, multiplier, program))
	}
	return nil
}

// compileCEL checks an expression whole: its names, its types, and what it yields.
func compileCEL(env *cel.Env, where, name, text string, taken map[string]bool, yields ...*cel.Type) (cel.Program, error) {
	bad := func(format string, args ...any) error {
		return fault.Invalidf("[filter_scheduler] %s (%s): %s", where, name, fmt.Sprintf(format, args...))
	}
	switch {
	case !celName.MatchString(name):
		return nil, fault.Invalidf("[filter_scheduler] %s: the name %q is not one letter and up to 63 letters, digits and underscores.", where, name)
	case filterTable[name] != nil || taken[name]:
		return nil, bad("there is a filter or weigher of that name already.")
	case len(text) > maxCELBytes:
		return nil, bad("the expression has %d bytes; the limit is %d.", len(text), maxCELBytes)
	}
	taken[name] = true
	ast, issues := env.Compile(text)
	if issues.Err() != nil {
		first := issues.Errors()[0]
		return nil, bad("line %d, column %d: %s", first.Location.Line(), first.Location.Column()+1, first.Message)
	}
	fits := false
	for _, t := range yields {
		fits = fits || ast.OutputType().IsExactType(t)
	}
	if !fits {
		return nil, bad("the expression yields %s; it has to be %s.", ast.OutputType(), oneOf(yields))
	}
	program, err := env.Program(ast, cel.CostLimit(maxCELCost), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, bad("%s", err)
	}
	return program, nil
}

func oneOf(all []*cel.Type) string {
	if len(all) == 1 {
		return all[0].String()
	}
	return "a number"
}

// celFilter makes a filter of a program. A host for which it cannot be evaluated,
// because a key is missing or a limit is passed, is refused: what the operator
// meant is not known to hold.
func celFilter(name string, program cel.Program) makeFilter {
	broken := "for which " + name + " cannot be evaluated"
	unfit := "not matching " + name
	return func(_ *Options, r *Request) (*filter, error) {
		facts := &celActivation{request: r}
		return &filter{
			refuse: func(h *Host) string {
				facts.host = h
				out, _, err := program.Eval(facts)
				switch {
				case err != nil:
					return broken
				case out == types.True:
					return ""
				}
				return unfit
			},
			detail: func(h *Host) string {
				if _, _, err := program.Eval(&celActivation{host: h, request: r}); err != nil {
					return broken + ": " + err.Error()
				}
				return ""
			},
		}, nil
	}
}

// celWeigher makes a weigher of a program. A host for which it cannot be
// evaluated weighs 0.
func celWeigher(name string, multiplier float64, program cel.Program) makeWeigher {
	return func(_ *Options, r *Request) (weigher, error) {
		facts := &celActivation{request: r}
		return weigher{name: name, option: name + "_weight_multiplier", multiplier: multiplier, weigh: func(h *Host) float64 {
			facts.host = h
			out, _, err := program.Eval(facts)
			if err != nil {
				return 0
			}
			if n := celNumber(out); finite(n) {
				return n
			}
			return 0
		}}, nil
	}
}

func celNumber(v ref.Val) float64 {
	switch n := v.(type) {
	case types.Int:
		return float64(n)
	case types.Uint:
		return float64(n)
	case types.Double:
		return float64(n)
	}
	return 0
}

// errCEL is wrapped by what can only go wrong when this package is wrong.
var errCEL = errors.New("the language of cel_filters cannot be set up")

func celEnvironment() (*cel.Env, error) {
	var options []cel.EnvOption
	for name, f := range celFacts {
		options = append(options, cel.Variable(name, f.kind))
	}
	env, err := cel.NewEnv(options...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errCEL, err)
	}
	return env, nil
}
