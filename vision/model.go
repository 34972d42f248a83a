package vision

// Model is everything that running a classifier takes: its file, its labels and
// how a picture becomes its input.
type Model struct {
	// Name is the catalogue's name, or the file's name without its extension.
	Name string
	// Path is the .tflite file; empty for the embedded model.
	Path string
	// Data holds the file's bytes where they are in memory already (the embedded
	// model); nil means they are read from Path.
	Data []byte
	// SHA256 is of the file, in lower-case hex.
	SHA256 string
	// Labels are in the order of the model's output.
	Labels []string
	// Logits says that the output is raw scores, which need a softmax to become probabilities.
	Logits        bool
	Preprocessing Preprocessing
	// Golden is what the model is known to say of golden pictures; empty where that isn't known.
	Golden []Golden
}

// Golden is the best classification of one of the pictures that show whether a model works as it should.
type Golden struct {
	Picture string  `json:"picture"`
	Index   int     `json:"index"`
	Score   float32 `json:"score"`
}

// Preprocessing is how a picture becomes a model's input: resize, crop, then
// (channel - Mean) / Std for red, green and blue in 0..255.
type Preprocessing struct {
	// Width and Height are of the model's input in pixels; 0: as its input tensor says.
	Width, Height int
	// Resize is the length in pixels that the picture's shorter side is brought to before
	// the centre crop of Width x Height; 0: the crop is cut as large as it fits.
	// It has no meaning for Letterbox and Stretch.
	Resize        int
	Crop          Crop
	Interpolation Interpolation
	// Mean and Std are by channel (red, green, blue), on the scale 0..255.
	// Std of 0 stands for "as the input tensor's quantisation says".
	Mean, Std [3]float32
}

// Crop is how a picture of another shape is fitted to the model's input.
type Crop string

const (
	// CropCenter cuts the middle out.
	CropCenter Crop = "center"
	// CropLetterbox keeps the whole picture and its shape, with bars of the mean colour.
	CropLetterbox Crop = "letterbox"
	// CropStretch keeps the whole picture and squeezes it.
	CropStretch Crop = "stretch"
)

// Interpolation is the filter of the antialiased resize, as Pillow names them.
type Interpolation string

const (
	// Bilinear is the triangle filter, two source pixels wide at scale 1.
	Bilinear Interpolation = "bilinear"
	// Bicubic is the cubic filter with a = -0.5, four source pixels wide at scale 1.
	Bicubic Interpolation = "bicubic"
)
