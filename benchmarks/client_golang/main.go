// A server of Go's client_golang with the samples of text files: the peer of benchmarks/exposition.py.
//
//	main PORT CHANGING FILE...
//
// Every file holds the same series with other values. The first one is served; with CHANGING 1 all gauges are set to
// the next one's values once a second. Says "ready" on standard output.
package main

import (
	"bufio"
	"fmt"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

type sample struct {
	name   string
	labels []string
	values []string
	value  float64
}

// read gives the samples of a file; no label value of the benchmark has a comma or a quote in it.
func read(path string) []sample {
	file, err := os.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	var found []sample
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line := lines.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		space := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[space+1:], 64)
		if err != nil {
			log.Fatal(err)
		}
		one := sample{value: value}
		name, labels, _ := strings.Cut(line[:space], "{")
		one.name = name
		for _, pair := range strings.Split(strings.TrimSuffix(labels, "}"), ",") {
			if label, text, found := strings.Cut(pair, "="); found {
				one.labels = append(one.labels, label)
				one.values = append(one.values, strings.Trim(text, `"`))
			}
		}
		found = append(found, one)
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
	return found
}

func main() {
	if len(os.Args) < 4 {
		log.Fatal("usage: main PORT CHANGING FILE...")
	}
	registry := prometheus.NewRegistry()
	families := map[string]*prometheus.GaugeVec{}
	var gauges []prometheus.Gauge
	var turns [][]float64
	for number, path := range os.Args[3:] {
		var values []float64
		for _, one := range read(path) {
			values = append(values, one.value)
			if number > 0 {
				continue
			}
			family, known := families[one.name]
			if !known {
				family = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: one.name, Help: one.name}, one.labels)
				registry.MustRegister(family)
				families[one.name] = family
			}
			gauges = append(gauges, family.WithLabelValues(one.values...))
		}
		turns = append(turns, values)
	}
	set := func(turn int) {
		for at, gauge := range gauges {
			gauge.Set(turns[turn%len(turns)][at])
		}
	}
	set(0)
	if os.Args[2] == "1" {
		go func() {
			for turn := 1; ; turn++ {
				set(turn)
				time.Sleep(time.Second)
			}
		}()
	}
	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	go func() { log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil)) }()
	time.Sleep(200 * time.Millisecond)
	fmt.Println("ready")
	select {}
}
