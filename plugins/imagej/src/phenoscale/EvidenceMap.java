// SPDX-License-Identifier: BSD-3-Clause
// Plugins > phenoscale > Phenoscale Evidence Map: where in the field the evidence for a class lies.
package phenoscale;

import ij.IJ;
import ij.ImagePlus;
import ij.gui.ImageRoi;
import ij.gui.Overlay;
import ij.gui.Roi;
import ij.process.FloatProcessor;
import ij.process.LUT;
import java.awt.image.BufferedImage;
import java.util.Map;

public final class EvidenceMap extends Command {
    static final String TITLE = "Phenoscale Evidence Map";
    private static final String BEST = "most probable";
    private static final String OVERLAY = "Overlay";
    private static final String HEAT = "Heat map";
    private static final int FOR = 0xd7191c, AGAINST = 0x2166ac, NEITHER = 0xf7f7f7;

    @Override
    Result act(ImagePlus image) throws Trouble {
        needed(image);
        Model model = new Model(modelForm(TITLE).ask().get("model"));
        try (Fields fields = new Fields(image, model)) {
            Form form = new Form(TITLE);
            fields.addWindows(form);
            form.row(Form.Kind.CHOICE, "Class", BEST, items(model))
                    .row(Form.Kind.CHOICE, "Show", OVERLAY, OVERLAY, HEAT)
                    .row(Form.Kind.NUMBER, "Opacity (%)", "100");
            Map<String, String> values = form.ask();
            Map<String, Object> inputs = model.inputs();
            inputs.put("field", fields.entries(values));
            if (!values.get("class").equals(BEST)) {
                inputs.put("class", values.get("class"));
            }
            Map<?, ?> found = Worker.ask("evidence", inputs);
            String name = "Evidence for " + found.get("class")
                    + (Boolean.TRUE.equals(found.get("is_coarse")) ? " (coarse)" : "");
            FloatProcessor heat = Pixels.unpack((Map<?, ?>) found.get("heat"));
            IJ.showStatus(name + ", logit " + IJ.d2s((Double) found.get("logit"), 3));
            return values.get("show").equals(HEAT) ? new Window(image, heat, name)
                    : new Drawn(image, heat, name, Integer.parseInt(values.get("opacity")));
        }
    }

    private static String[] items(Model model) {
        String[] items = new String[model.classes.size() + 1];
        items[0] = BEST;
        for (int k = 1; k < items.length; k++) {
            items[k] = model.classes.get(k - 1);
        }
        return items;
    }

    // ---- a window of its own ---------------------------------------------------------------

    private static final class Window implements Result {
        private final ImagePlus map;

        Window(ImagePlus image, FloatProcessor heat, String name) {
            map = new ImagePlus(name + " in " + image.getTitle(), heat);
            map.setCalibration(image.getCalibration().copy());
            map.getCalibration().disableDensityCalibration();
            map.setLut(diverging());
            map.setDisplayRange(-1, 1);
        }

        @Override
        public void show() {
            map.show();
        }

        @Override
        public void save(String path) throws Trouble {
            write(map, path);
        }
    }

    /** From against over neither to for. */
    private static LUT diverging() {
        byte[][] colors = new byte[3][256];
        for (int i = 0; i < 256; i++) {
            double value = (i - 127.5) / 127.5;
            for (int band = 0; band < 3; band++) {
                int shift = 16 - 8 * band;
                int end = (value > 0 ? FOR : AGAINST) >> shift & 255;
                int middle = NEITHER >> shift & 255;
                colors[band][i] = (byte) Math.round(middle + (end - middle) * Math.abs(value));
            }
        }
        return new LUT(colors[0], colors[1], colors[2]);
    }

    // ---- on the image ----------------------------------------------------------------------

    private static final class Drawn implements Result {
        private final ImagePlus image;
        private final ImageRoi roi;

        Drawn(ImagePlus image, FloatProcessor heat, String name, int percent) {
            this.image = image;
            roi = new ImageRoi(0, 0, colored(heat));
            roi.setName("phenoscale: " + name);
            roi.setOpacity(Math.max(0, Math.min(100, percent)) / 100.0);
        }

        @Override
        public void show() {
            Overlay overlay = image.getOverlay() == null ? new Overlay() : image.getOverlay();
            for (Roi old : overlay.toArray()) {
                if (old.getName() != null && old.getName().startsWith("phenoscale: ")) {
                    overlay.remove(old);
                }
            }
            overlay.add(roi);
            image.setOverlay(overlay);
        }

        @Override
        public void save(String path) throws Trouble {
            show();
            write(image.flatten(), path);
        }
    }

    /** The stronger the evidence, the less of the image is seen through it. */
    private static BufferedImage colored(FloatProcessor heat) {
        int width = heat.getWidth(), height = heat.getHeight();
        BufferedImage colored = new BufferedImage(width, height, BufferedImage.TYPE_INT_ARGB);
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                float value = heat.getf(x, y);
                int alpha = Math.round(255 * Math.min(1, Math.abs(value)));
                colored.setRGB(x, y, alpha << 24 | (value > 0 ? FOR : AGAINST));
            }
        }
        return colored;
    }

    private static void write(ImagePlus image, String path) throws Trouble {
        if (!IJ.saveAsTiff(image, path)) {
            throw new Trouble(path + " cannot be written");
        }
    }
}
