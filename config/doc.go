// Package config brings the configuration together: the defaults of every
// stage, the configuration file, what was changed while running (overrides.yaml),
// the environment and the command line, in this order. It is the only place that
// knows viper and YAML.
//
// One table (keys.go) says which keys there are, what they mean and what they
// may hold. Everything else comes from it and from the stages' own structs: the
// checks, the names in the environment, the commented defaults and the JSON
// Schema. A key's type and its place in a struct are found by its name, its
// default in the stage's DefaultConfig.
//
// Viper turns the merged keys into the structs. What it can't do is done here before:
// lists in the environment, the file and line of a value, all problems at
// once, unknown keys with the nearest known one.
package config
