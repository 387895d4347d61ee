// SPDX-License-Identifier: BSD-3-Clause
// Counts of a plane <-> what stands in a line: base64 of the zlib stream of little-endian numbers.
package phenoscale;

import ij.process.ByteProcessor;
import ij.process.FloatProcessor;
import ij.process.ImageProcessor;
import ij.process.ShortProcessor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.DataFormatException;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

final class Pixels {
    private Pixels() {}

    static Map<String, Object> pack(ImageProcessor plane) {
        Map<String, Object> packed = new LinkedHashMap<>();
        packed.put("dtype", plane instanceof ByteProcessor ? "uint8"
                : plane instanceof ShortProcessor ? "uint16" : "float32");
        packed.put("shape", Arrays.<Object>asList(plane.getHeight(), plane.getWidth()));
        packed.put("data", Base64.getEncoder().encodeToString(deflate(bytes(plane.getPixels()))));
        return packed;
    }

    private static byte[] bytes(Object pixels) {
        if (pixels instanceof byte[]) {
            return (byte[]) pixels;
        }
        if (pixels instanceof short[]) {
            short[] counts = (short[]) pixels;
            ByteBuffer buffer = littleEndian(new byte[2 * counts.length]);
            buffer.asShortBuffer().put(counts);
            return buffer.array();
        }
        float[] counts = (float[]) pixels;
        ByteBuffer buffer = littleEndian(new byte[4 * counts.length]);
        buffer.asFloatBuffer().put(counts);
        return buffer.array();
    }

    private static byte[] deflate(byte[] plain) {
        Deflater deflater = new Deflater(Deflater.BEST_SPEED);
        deflater.setInput(plain);
        deflater.finish();
        byte[] stream = new byte[plain.length + plain.length / 1000 + 64];  // it may grow a little
        int length = 0;
        while (!deflater.finished()) {
            length += deflater.deflate(stream, length, stream.length - length);
        }
        deflater.end();
        return Arrays.copyOf(stream, length);
    }

    /** A plane of float32 that came as an output. */
    static FloatProcessor unpack(Map<?, ?> packed) throws Trouble {
        List<?> shape = (List<?>) packed.get("shape");
        int height = ((Double) shape.get(0)).intValue();
        int width = ((Double) shape.get(1)).intValue();
        byte[] plain = new byte[4 * height * width];
        Inflater inflater = new Inflater();
        inflater.setInput(Base64.getDecoder().decode((String) packed.get("data")));
        try {
            for (int at = 0; at < plain.length && !inflater.finished();) {
                at += inflater.inflate(plain, at, plain.length - at);
            }
        } catch (DataFormatException e) {
            throw new Trouble("the map of phenoscale came damaged: try again");
        } finally {
            inflater.end();
        }
        float[] values = new float[height * width];
        littleEndian(plain).asFloatBuffer().get(values);
        return new FloatProcessor(width, height, values);
    }

    private static ByteBuffer littleEndian(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }
}
