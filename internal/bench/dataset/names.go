package dataset

import (
	"math"
	"math/rand/v2"
	"strings"
)

// names generates the same names each time: a few common ones and many rare ones.
type names struct{ random *rand.Rand }

func newNames() names { return names{rand.New(rand.NewPCG(20, 26))} }

func (n names) next() (first, last string) {
	first = n.pick(firstNames)
	last = n.pick(lastNameBeginnings) + n.pick(lastNameEnds)
	if n.random.IntN(20) == 0 {
		last += "-" + n.pick(lastNameBeginnings) + n.pick(lastNameEnds)
	}
	return first, last
}

// pick prefers early entries: the first of a hundred is a hundred times as frequent as the last.
func (n names) pick(list []string) string {
	return list[int(math.Pow(float64(len(list)+1), n.random.Float64()))-1]
}

var (
	firstNames = strings.Fields(`
		Maria Anna José Mohammed Ana John Wei Elena David Fatima Michael Sofia Peter Emma Olga Thomas Laura Ivan Sara
		Daniel Julia Ahmed Lucía Martin Nina Carlos Eva Andrej Yuki Paul Chiara Marek Léa Omar Hannah Jan Zoë Raj
		Ingrid Ali Katarzyna Luis Mei Jürgen Aoife Björn Noor Søren Priya Mateusz Chloé Dmitri Aisha Łukasz Renée
		Kwame Siobhán Ömer Yasmin Håkon Beyza Tuấn Saoirse Þórunn Zdeněk Ngọc Xochitl Vytautas Quirin Ghislaine
		Wojciech Eszter Oluwaseun Ayşegül Björk Γιώργος Олена 太郎 민준 Xaver Quetzalli Zsófia Wybjörn`)
	lastNameBeginnings = strings.Fields(`
		Lind Berg Sand Holm Stein Wal Han Mar Fer Gon Kowal Nov Pet Iva Schmid Rosen Eng Ha Fri Neu Al Ben Car Dom Er
		Gar Hern Jo Kra Lo Mei Nor Ol Pav Ro Sil Tor Ver Win Zie Brau Chris Dahl Eke Falk Grün Hof Isak Jung Kauf Lun
		Mül Nie Öst Pfei Quan Rich Sø Tan Ull Vog Weiß Xan Yil Zöl Ště Åkes Ñañ Ærø Жук Μαρ`)
	lastNameEnds = strings.Fields(`
		er mann son ez berg ov sen ski ström i qvist ova dahl stein ini es baum ska ić dóttir well feld ová iuc escu
		yan ides wicz gård zadeh ütz ñiga öz`)
)
