// SPDX-License-Identifier: BSD-3-Clause
// Images of ImageJ -> the channels of a request.
//
//     hyperstack, RGB, one gray image --.                  .-- the file, where its pixels are these
//     one window a channel -------------+-> planes, counts-+-- the counts in the line
//                                                          `-- a temporary TIFF, if they are many
package phenoscale;

import ij.IJ;
import ij.ImagePlus;
import ij.WindowManager;
import ij.io.FileInfo;
import ij.io.FileSaver;
import ij.io.Opener;
import ij.process.ColorProcessor;
import ij.process.ImageProcessor;
import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

final class Fields implements AutoCloseable {
    private static final int SIGN = 32768;  // ImageJ adds it to signed 16-bit counts
    private static final int ROOM = Worker.LONGEST - (1 << 20);

    private final ImagePlus image;
    private final Model model;
    private final List<File> temporary = new ArrayList<>();
    private int characters;  // of pixels in the line so far

    /** The field that the current image shows, or a part of. */
    Fields(ImagePlus image, Model model) throws Trouble {
        this.image = image;
        this.model = model;
        int given = isRgb() ? 3 : image.getNChannels();
        if (given != 1 && given != model.channels.size()) {
            throw new Trouble("'" + image.getTitle() + "' has " + given + " channels, the model "
                    + "needs " + model.channelWords());
        }
        if (model.takesStacks && image.getNSlices() > 1) {
            throw new Trouble("'" + image.getTitle() + "' is a stack, the model was trained on "
                    + "projections: make one by Image > Stacks > Z Project and classify that");
        }
    }

    private boolean isRgb() {
        return image.getType() == ImagePlus.COLOR_RGB;
    }

    // ---- one window a channel --------------------------------------------------------------

    /** Add the rows that say which window is which channel, where the image is but one of them. */
    void addWindows(Form form) throws Trouble {
        int wanted = model.channels.size();
        if (wanted == 1 || isRgb() || image.getNChannels() > 1) {
            return;
        }
        String[] titles = WindowManager.getImageTitles();
        if (titles.length < wanted) {
            boolean isLikely = image.getStackSize() == wanted;
            throw new Trouble("the model needs " + model.channelWords() + "; " + (isLikely
                    ? "if the slices of '" + image.getTitle() + "' are these, say so by Image > "
                    + "Hyperstacks > Stack to Hyperstack"
                    : "open an image for each, or merge them by Image > Color > Merge Channels"));
        }
        Arrays.sort(titles);
        for (int k = 0; k < wanted; k++) {
            form.fresh(Form.Kind.CHOICE, key(k) + " (" + model.channels.get(k) + ")",
                    likely(titles, k), titles);
        }
    }

    private static String key(int channel) {
        return "channel_" + (channel + 1);
    }

    /** The window that names the channel, else the next in the order of their names. */
    private String likely(String[] titles, int channel) {
        for (String title : titles) {
            if (title.toLowerCase().contains(model.channels.get(channel).toLowerCase())) {
                return title;
            }
        }
        return titles[channel];
    }

    /** What the field is called: the image, or the window of its first channel. */
    String label(Map<String, String> values) {
        String place = (image.getNSlices() > 1 ? " z=" + image.getZ() : "")
                + (image.getNFrames() > 1 ? " t=" + image.getT() : "");
        return values.getOrDefault(key(0), image.getTitle()) + place;
    }

    // ---- entries of a request --------------------------------------------------------------

    /** One entry a channel; `values` are the answers to the rows of `addWindows`. */
    List<Object> entries(Map<String, String> values) throws Trouble {
        List<Object> entries = new ArrayList<>();
        for (int k = 0; k < model.channels.size(); k++) {
            String title = values.get(key(k));
            ImagePlus source = title == null ? image : WindowManager.getImage(title);
            if (title != null && (source.getNChannels() > 1 || source.getBitDepth() == 24)) {
                throw new Trouble("'" + title + "' has several channels, and was to be "
                        + model.channels.get(k) + " alone");
            }
            entries.add(entry(source, title == null ? k : 0));
        }
        return entries;
    }

    private Object entry(ImagePlus source, int channel) throws Trouble {
        ImageProcessor plane = plane(source, channel);
        String file = fileOf(source, plane);
        if (file != null && Settings.reachesWorker(file)) {
            return Settings.workerPath(file);
        }
        if (isSigned(source)) {
            plane = counts(source, plane);
        }
        Map<String, Object> packed = Pixels.pack(plane);
        characters += ((String) packed.get("data")).length();
        return characters <= ROOM ? packed : written(source, plane);
    }

    /** Counts as stored, of the current z and t. */
    private static ImageProcessor plane(ImagePlus source, int channel) {
        ImageProcessor shown = source.getProcessor();
        if (shown instanceof ColorProcessor) {
            return ((ColorProcessor) shown).getChannel(channel + 1, null);
        }
        if (source.getStackSize() == 1) {
            return shown;
        }
        return source.getStack().getProcessor(
                source.getStackIndex(channel + 1, source.getZ(), source.getT()));
    }

    /** The TIFF that the image was opened from, if it still holds these pixels; else null. */
    private static String fileOf(ImagePlus source, ImageProcessor plane) {
        FileInfo info = source.getOriginalFileInfo();
        if (info == null || info.fileFormat != FileInfo.TIFF || info.directory == null
                || info.nImages > 1 || source.getBitDepth() == 24 || isSigned(source)
                || plane.isColorLut()) {  // phenoscale takes a palette for colours
            return null;
        }
        File file = new File(info.directory, info.fileName);
        IJ.redirectErrorMessages(true);  // a dialog, if it is a TIFF no more
        ImagePlus stored = file.isFile() ? new Opener().openTiff(file.getParent() + File.separator,
                file.getName()) : null;
        IJ.redirectErrorMessages(false);
        boolean isSame = stored != null && stored.getStackSize() == 1
                && stored.getWidth() == source.getWidth()
                && isEqual(stored.getProcessor().getPixels(), plane.getPixels());
        return isSame ? file.getAbsolutePath() : null;
    }

    private static boolean isEqual(Object a, Object b) {
        return Arrays.deepEquals(new Object[] {a}, new Object[] {b});
    }

    private static boolean isSigned(ImagePlus source) {
        return source.getLocalCalibration().isSigned16Bit();
    }

    /** The true counts of a signed image: a model of uint16 takes them if none is negative. */
    private ImageProcessor counts(ImagePlus source, ImageProcessor plane) throws Trouble {
        ImageProcessor counts = plane.duplicate();
        counts.setCalibrationTable(null);  // it has the sign where the image is no stack
        counts = counts.convertToFloatProcessor();
        counts.subtract(SIGN);
        if (model.takesFloats) {
            return counts;
        }
        if (counts.getStatistics().min < 0) {
            throw new Trouble("'" + source.getTitle() + "' has negative counts: convert it to what "
                    + "the model was trained on");
        }
        return counts.convertToShortProcessor(false);
    }

    private Object written(ImagePlus source, ImageProcessor plane) throws Trouble {
        if (Settings.isFar()) {
            throw new Trouble("'" + source.getTitle() + "' has too many pixels to be sent: save it "
                    + "as TIFFs where phenoscale can read them");
        }
        try {
            File file = File.createTempFile("phenoscale-", ".tif");
            temporary.add(file);
            if (new FileSaver(new ImagePlus("", plane)).saveAsTiff(file.getPath())) {
                return file.getPath();
            }
        } catch (IOException e) {
            // the same as one that cannot be saved
        }
        throw new Trouble("the pixels of '" + source.getTitle() + "' cannot be written to "
                + IJ.getDirectory("temp") + ": is there room?");
    }

    @Override
    public void close() {
        for (File file : temporary) {
            file.delete();
        }
    }
}
