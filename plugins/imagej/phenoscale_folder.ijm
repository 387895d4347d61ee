// SPDX-License-Identifier: BSD-3-Clause
// Classifies all fields of a table or folder with one call, and counts the fields of each class.
// With options as argument it asks for nothing:
//
//   java -cp ij.jar ij.ImageJ -ijpath DIR -batch DIR/macros/phenoscale_folder.ijm \
//       "model=[run/model.safetensors] folder=[screen/screen.csv] output=[predictions.csv]"
//
// On an error the log says "phenoscale: error: ..." and the macro ends without its last line.

options = getArgument();
if (options == "") {
    model = File.openDialog("Model (model.safetensors)");
    folder = getDirectory("Folder of fields");
    options = "model=[" + model + "] folder=[" + folder + "] output=[" + folder
        + "predictions.csv]";
}
run("Phenoscale Classify Folder...", options);

n = Table.size("phenoscale folder");
List.clear();
for (i = 0; i < n; i++) {
    name = Table.getString("Phenoscale_Class", i, "phenoscale folder");
    before = List.get(name);
    if (before == "") before = "0";
    List.set(name, parseInt(before) + 1);
}
print(List.getList());
print("status=ok fields=" + n);
