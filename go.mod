module github.com/glimpsed/glimpsed

go 1.26
