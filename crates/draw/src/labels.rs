//! Where texts stand: names and own addresses in their boxes, the others beside their lines, where nothing else is.
use crate::geometry::{Path, Point, Rect};
use crate::graph::Graph;
use crate::layout::{NAME_SIZE, TEXT_SIZE, layout};
use crate::text;

/// Pictures of more lines have texts in boxes alone: nobody could read the others.
const LABELLED_EDGES_MAX: usize = 1_000;

/// The room around the picture, in pixels.
const MARGIN: f64 = 32.0;

/// The room for the title.
const TITLE: f64 = 40.0;

/// At a box with more lines nobody could tell which text belongs to which.
const CROWD: usize = 6;

/// Parts of a line at which the text of its middle may stand, best first.
const MIDDLES: [f64; 11] = [0.5, 0.44, 0.56, 0.38, 0.62, 0.32, 0.68, 0.26, 0.74, 0.2, 0.8];

/// How far from a box the text at its end may stand along the line, in pixels, best first.
const ENDS: [f64; 7] = [13.0, 18.0, 24.0, 32.0, 42.0, 54.0, 68.0];

/// A text and the box it takes, in pixels from the upper left corner.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    /// The text.
    pub text: String,
    /// The middle of its box, from the left.
    pub x: f64,
    /// The middle of its box, from the top.
    pub y: f64,
    /// The width of its box.
    pub width: f64,
    /// The height of its box.
    pub height: f64,
    /// The size of its font.
    pub size: f64,
    /// Whether it is a name.
    pub is_name: bool,
}

/// The box of a vertex, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Its left edge.
    pub x: f64,
    /// Its upper edge.
    pub y: f64,
    /// Its width.
    pub width: f64,
    /// Its height.
    pub height: f64,
}

/// A picture: boxes, lines and texts with their places.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawing {
    /// Its width in pixels.
    pub width: f64,
    /// Its height in pixels.
    pub height: f64,
    /// The boxes, in the order of the graph's vertices.
    pub shapes: Vec<Shape>,
    /// The texts in the boxes.
    pub names: Vec<Label>,
    /// The texts at the lines.
    pub labels: Vec<Label>,
    /// How many texts have no room, and stand in their line's tooltip alone.
    pub hidden: usize,
    pub(crate) paths: Vec<Path>,
}

/// Lays a graph out and finds a place for each text.
#[must_use]
pub fn arrange(graph: &Graph) -> Drawing {
    let laid_out = layout(graph);
    let (mut rects, mut paths) = (laid_out.rects, laid_out.paths);
    let lines = paths.iter().map(Line::of).collect();
    let mut board = Board { boxes: rects.clone(), lines, labels: Vec::new(), hidden: 0 };
    if graph.edges.len() <= LABELLED_EDGES_MAX {
        board.label(graph, &paths);
    }
    let Board { mut labels, hidden, .. } = board;
    let title = text::width(&crate::svg::title(graph), NAME_SIZE);
    let (width, height) = to_origin(&mut rects, &mut paths, &mut labels, title);
    let names = graph.vertices.iter().zip(&rects).flat_map(|(vertex, rect)| names(vertex, rect));
    Drawing {
        width,
        height,
        shapes: rects
            .iter()
            .map(|rect| Shape {
                x: rect.left(),
                y: rect.top(),
                width: rect.width,
                height: rect.height,
            })
            .collect(),
        names: names.collect(),
        labels,
        hidden,
        paths,
    }
}

/// Moves everything to where the picture begins, below its title, and returns the picture's size.
fn to_origin(
    rects: &mut [Rect],
    paths: &mut [Path],
    labels: &mut [Label],
    title: f64,
) -> (f64, f64) {
    let points = paths.iter().flat_map(Path::pieces).map(|point| Rect::new(point, 0.0, 0.0));
    let texts = labels.iter().map(|it| Rect::new(Point::new(it.x, it.y), it.width, it.height));
    let all = rects.iter().copied().chain(points).chain(texts).reduce(|a, b| a.around(&b));
    let all = all.unwrap_or(Rect::new(Point::new(0.0, 0.0), 0.0, 0.0));
    let (x, y) = (MARGIN - all.left(), MARGIN + TITLE - all.top());
    rects.iter_mut().for_each(|rect| rect.middle = rect.middle.plus(x, y));
    paths.iter_mut().for_each(|path| path.shift(x, y));
    for label in labels {
        (label.x, label.y) = (label.x + x, label.y + y);
    }
    (all.width.max(title) + 2.0 * MARGIN, all.height + 2.0 * MARGIN + TITLE)
}

/// The texts in a box, one below the other.
fn names(vertex: &crate::graph::Vertex, rect: &Rect) -> Vec<Label> {
    let lines = std::iter::once((&vertex.name, NAME_SIZE, true))
        .chain(vertex.lines.iter().map(|line| (line, TEXT_SIZE, false)));
    let mut top = rect.top() + 6.0;
    lines
        .map(|(text, size, is_name)| {
            let height = size * text::LINE_HEIGHT;
            top += height;
            Label {
                text: text.clone(),
                x: rect.middle.x,
                y: top - height / 2.0,
                width: if is_name { text::name_width } else { text::width }(text, size),
                height,
                size,
                is_name,
            }
        })
        .collect()
}

/// What has its place already, and where texts may not stand.
struct Board {
    boxes: Vec<Rect>,
    lines: Vec<Line>,
    labels: Vec<Label>,
    hidden: usize,
}

impl Board {
    fn label(&mut self, graph: &Graph, paths: &[Path]) {
        // What stands at the ends has less choice than what stands between.
        let mut degrees = vec![0; graph.vertices.len()];
        graph.edges.iter().flat_map(|edge| edge.ends).for_each(|end| degrees[end] += 1);
        for (edge, path) in graph.edges.iter().zip(paths) {
            let ways = [path.clone(), backwards(path)];
            for ((near, way), end) in edge.near.iter().zip(&ways).zip(edge.ends) {
                if let Some(text) = near.as_ref().filter(|_| degrees[end] <= CROWD) {
                    // Lines with corners share their beginning with others.
                    let fits = way.bow || way.points.len() == 2;
                    let places = if fits { places_at_end(way, text) } else { Vec::new() };
                    self.put(vec![text.clone()], places);
                }
            }
        }
        for (edge, path) in graph.edges.iter().zip(paths) {
            if !edge.middle.is_empty() {
                let places = MIDDLES.iter().map(|&part| path.at(part)).collect();
                self.put(edge.middle.clone(), places);
            }
        }
    }

    /// Puts lines of text at the first place that is free and where no other line runs through, or where the fewest do.
    fn put(&mut self, lines: Vec<String>, places: Vec<Point>) {
        let width = lines.iter().map(|line| text::width(line, TEXT_SIZE)).fold(0.0, f64::max) + 4.0;
        let height = lines.len() as f64 * TEXT_SIZE * text::LINE_HEIGHT;
        let free = places.into_iter().map(|place| Rect::new(place, width, height));
        let best = free
            .filter(|rect| !self.boxes.iter().any(|other| other.grown(1.0).overlaps(rect)))
            .map(|rect| (self.lines.iter().filter(|line| line.crosses(&rect)).count(), rect))
            // Of equal ones the first, which is the best.
            .min_by_key(|(crossings, _)| *crossings);
        let Some((_, rect)) = best else {
            self.hidden += 1;
            return;
        };
        self.boxes.push(rect);
        let line_height = TEXT_SIZE * text::LINE_HEIGHT;
        for (index, text) in lines.into_iter().enumerate() {
            self.labels.push(Label {
                x: rect.middle.x,
                y: rect.top() + line_height * (index as f64 + 0.5),
                width: rect.width,
                height: line_height,
                size: TEXT_SIZE,
                is_name: false,
                text,
            });
        }
    }
}

/// A line's pieces, and the box around them.
struct Line {
    bounds: Rect,
    pieces: Vec<Point>,
}

impl Line {
    fn of(path: &Path) -> Self {
        let pieces = path.pieces();
        let points = pieces.iter().map(|&point| Rect::new(point, 0.0, 0.0));
        let bounds = points.reduce(|a, b| a.around(&b));
        Self { bounds: bounds.unwrap_or(Rect::new(Point::new(0.0, 0.0), 0.0, 0.0)), pieces }
    }

    fn crosses(&self, rect: &Rect) -> bool {
        self.bounds.grown(1.0).overlaps(rect)
            && self.pieces.windows(2).any(|pair| rect.is_crossed(pair[0], pair[1]))
    }
}

fn backwards(path: &Path) -> Path {
    let mut path = path.clone();
    path.points.reverse();
    path
}

/// Beside the line, near its beginning, on either side.
fn places_at_end(path: &Path, label: &str) -> Vec<Point> {
    let length = path.length();
    let (half_width, half_height) = (text::width(label, TEXT_SIZE) / 2.0 + 2.0, TEXT_SIZE * 0.65);
    let mut places = Vec::new();
    for along in ENDS.into_iter().filter(|along| along * 2.2 < length) {
        let (here, ahead) = (path.at(along / length), path.at((along + 1.0) / length));
        let (dx, dy) = (ahead.x - here.x, ahead.y - here.y);
        // As far aside as the text's box needs in this direction, and a little more.
        let aside = half_width * dy.abs() + half_height * dx.abs() + 3.0;
        places.push(here.plus(-dy * aside, dx * aside));
        places.push(here.plus(dy * aside, -dx * aside));
    }
    places
}
