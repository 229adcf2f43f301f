package story

import (
	"time"

	"go.yaml.in/yaml/v3"
)

const minute = time.Minute

func scalar(value string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: value} }
